// What a Swift project needs to test a log of its own:
//
// | module | what is taken from it |
// |---|---|
// | `LogModel` | offsets, partitions, times |
// | `Storage` | `Storage`, the interface that the log writes and reads through; memory and files behind it |
// | `SystemUnderTest` | `LogUnderTest` and `LogFactory`: what the test asks of the log |
// | `Verification` | `Contract`: what the log promises; the oracle and its checks |
// | `CrashStates` | `CrashProfile`: what a file system may leave after a power cut |
//
// `CrashTest` puts them together. `Examples/swift-log-under-test` is a package that uses it.

@_exported import CrashStates
@_exported import LogModel
@_exported import Storage
@_exported import SystemUnderTest
@_exported import Verification
