import Glibc

/// One line on a terminal's standard error that is written over again and again. Elsewhere nothing.
final class ProgressLine {
  private let isShown = isatty(STDERR_FILENO) == 1
  private var last = 0.0
  private var isClear = true

  func show(_ text: String) {
    guard isShown else { return }
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    let seconds = Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
    guard seconds - last > 0.1 else { return }
    last = seconds
    isClear = false
    write("\r\u{1B}[K" + String(text.prefix(100)))
  }

  func clear() {
    if isShown, !isClear { write("\r\u{1B}[K") }
    isClear = true
  }

  private func write(_ text: String) {
    var text = text
    text.withUTF8 { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
