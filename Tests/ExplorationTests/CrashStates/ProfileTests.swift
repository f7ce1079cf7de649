import Testing

@testable import CrashStates
@testable import Exploration

@Suite struct ProfileTests {
  @Test func everyNameFindsItsProfile() {
    #expect(Set(CrashProfile.all.map(\.name)).count == CrashProfile.all.count)
    for profile in CrashProfile.all { #expect(CrashProfile.named(profile.name) == profile) }
    #expect(CrashProfile.named("fat32") == nil)
  }

  @Test func noProfileTearsASector() {
    for profile in CrashProfile.all { #expect(profile.unit >= 512 && profile.unit % 512 == 0) }
  }
}
