import Foundation
import Testing

extension CommandLineTests {
  /// `dump --json` and a reader in Python that follows docs/formats.md alone: a thousand random logs of the six
  /// formats, which a writer in Python has made by the same page, five of six of them damaged.
  @Suite(.enabled(if: FormatReader.python != nil, "no python3: the independent reader is not run"))
  struct WalReaderTests {
    @Test func aThousandLogsAreReadAlike() async throws {
      let folder = try WalFolder()
      let ended = try await folder.shell(
        "python3 \(Program.root)/Tests/independent-reader/agree.py tornlog --logs 1000 --seed 22", within: 120)
      #expect(ended.code == 0 && ended.out.contains(" 0 differ"), "\(ended)")
      #expect(ended.out.contains(/[1-9]\d{3,} records compared/), "\(ended)")
    }
  }
}
