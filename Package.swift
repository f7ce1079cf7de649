// swift-tools-version: 6.2
import PackageDescription

// The targets and what each may import: a module that is not in a target's list cannot be imported by it.
// `Verification` sees `LogModel` only; the engine never sees the modules that test it.
//
// A package with unsafe flags cannot be a dependency of another. So there are none here, but for `make test`, which
// asks for them (`optimized` below). What the release build wants `make build` passes.

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

/// The tests search thousands of states and orders. With the environment variable TORNLOG_OPTIMIZED_TESTS, which
/// Scripts/test.sh sets, debug builds optimise the modules that do most of it. Assertions and exclusivity checks stay.
/// Optimised, the tests of `Verification` take 22 s of processor instead of 89. It costs as much to compile: optimising
/// all of these modules takes 620 s of processor more than none. So only modules with busy loops are optimised.
let optimized: [SwiftSetting] =
  Context.environment["TORNLOG_OPTIMIZED_TESTS"] == nil
  ? [] : [.unsafeFlags(["-O", "-assert-config", "Debug"], .when(configuration: .debug))]

func module(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

/// One of those in which tests spend their time.
func busyModule(
  _ name: String, _ dependencies: [Target.Dependency], plugins: [Target.PluginUsage] = []
) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict + optimized, plugins: plugins)
}

/// What only tests use, in a folder of `Tests`.
func support(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, path: "Tests/" + name, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name + "Tests", dependencies: dependencies, swiftSettings: strict)
}

/// What `make fuzz` links with libFuzzer, which brings the program's beginning.
let fuzzers: [Product] =
  Context.environment["TORNLOG_FUZZ"] == nil ? [] : [.library(name: "WalFuzz", type: .static, targets: ["WalFuzz"])]

let package = Package(
  name: "tornlog",
  products: [
    .executable(name: "tornlog", targets: ["tornlog"]),
    .library(name: "TornlogKit", targets: ["TornlogKit"]),
  ] + fuzzers,
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", exact: "0.2.0"),
  ],
  targets: [
    .target(name: "CURing", cSettings: [.define("_GNU_SOURCE")], linkerSettings: [.linkedLibrary("uring")]),
    .target(name: "CProcess", cSettings: [.define("_GNU_SOURCE")]),
    .target(name: "CLoopDisks", cSettings: [.define("_GNU_SOURCE")]),
    .target(name: "CZlib", linkerSettings: [.linkedLibrary("z"), .linkedLibrary("deflate")]),
    .target(name: "CZstd", linkerSettings: [.linkedLibrary("zstd")]),
    // It opens libcurl when the first request is sent.
    .target(name: "CCurl", linkerSettings: [.linkedLibrary("dl")]),
    .target(name: "CPeers", linkerSettings: [.linkedLibrary("dl")]),
    .target(name: "CFuse", cSettings: [.define("_GNU_SOURCE")], linkerSettings: [.linkedLibrary("fuse3")]),
    .target(
      name: "CRawLoops", cSettings: [.define("_GNU_SOURCE")],
      linkerSettings: [.linkedLibrary("uring"), .linkedLibrary("z")]),

    busyModule("LogModel", []),
    busyModule("Storage", ["LogModel", "CURing"]),
    busyModule("WriteAheadLog", ["LogModel", "Storage", "CZlib"]),
    // What sealed segments go to; knows objects and their names, and nothing of logs.
    busyModule("ObjectStore", ["LogModel", "Storage", "CZlib"]),
    // Logs of single records in the formats of real systems. Knows nothing of partitions.
    busyModule("RecordLogs", ["LogModel", "Storage", "Metrics", "CZlib"]),
    busyModule("PartitionEngine", ["LogModel", "Storage", "WriteAheadLog", "ObjectStore", "RecordLogs", "Metrics"]),
    // Reads and mends files of logs, in six formats. Knows no engine: files are read as anybody reads them.
    busyModule("LogTools", ["LogModel", "WriteAheadLog", "RecordLogs", "ObjectStore", "CZlib", "CZstd"]),
    // Events of a job's log over HTTP. Apart, so that nobody else has a network in the process.
    module("HTTPDelivery", ["RecordLogs", "CCurl"]),
    // Counters, gauges, histograms and their text. Knows nothing of what is counted.
    busyModule("Metrics", ["LogModel"]),
    // A small HTTP server: metrics to whoever scrapes them, and what a receiver of events stands on.
    module("HTTPServing", ["LogModel", "Metrics", "CProcess"]),
    // Receivers of events that misbehave on demand, in virtual time and behind a socket.
    module("EventReceivers", ["LogModel", "Storage", "RecordLogs", "HTTPServing"]),
    busyModule("FaultInjection", ["LogModel", "Storage", "ObjectStore", "CProcess"]),
    // Real file systems on loop devices; knows nothing of logs.
    module("LoopDisks", ["CLoopDisks"]),
    // What copies of real file systems have shown of the profiles.
    module("ProfileReports", ["CrashStates", "LoopDisks", "Verification"]),
    // A file system in memory that records what programs do to it, and lets faults in. Knows nothing of logs.
    busyModule("Volume", ["CFuse"]),
    busyModule("Defects", ["LogModel", "Storage", "WriteAheadLog", "PartitionEngine", "RecordLogs"]),
    busyModule("Verification", ["LogModel"]),
    // Workloads of programs that keep logs of their own, for trials and explorations alike.
    busyModule("ClientWorkloads", ["LogModel", "Storage", "RecordLogs", "Verification"]),
    // The interface of a log that is tested, and the consumer that reads one back for the oracle. Knows no engine.
    busyModule("SystemUnderTest", ["LogModel", "Verification"]),
    // The partition engine behind that interface.
    busyModule(
      "EngineAdapter", ["LogModel", "Storage", "WriteAheadLog", "PartitionEngine", "Verification", "SystemUnderTest"]),
    module("ScenarioFormat", ["LogModel", .product(name: "Yams", package: "Yams")]),
    module("Reporting", ["LogModel", "Verification", "Metrics", "CProcess"]),
    // What trials and explorations do to a log alike: consumers beside the producers, events as a receiver has them.
    busyModule(
      "LogClients",
      ["LogModel", "Storage", "RecordLogs", "Verification", "SystemUnderTest", "EngineAdapter"]),
    // The states that a power cut may leave of a recorded disk. Knows no engine: whatever stands on `Storage` can be
    // recorded.
    busyModule("CrashStates", ["LogModel", "Storage"]),
    // What a Swift project needs to test a log of its own.
    module("TornlogKit", ["LogModel", "Storage", "SystemUnderTest", "Verification", "CrashStates"]),
    // Trials and explorations do not know each other.
    module(
      "Trials",
      [
        "LogModel", "Storage", "WriteAheadLog", "PartitionEngine", "ObjectStore", "FaultInjection", "Defects",
        "Verification", "ScenarioFormat", "Reporting", "CrashStates", "LogClients", "CProcess", "Metrics",
        "RecordLogs", "HTTPDelivery", "HTTPServing", "EventReceivers", "SystemUnderTest", "EngineAdapter",
        "ClientWorkloads", "LogTools",
      ]),
    // Sees the engine and what judges it, as `Trials` does; the runner, scenarios and reports are none of its business.
    busyModule(
      "Exploration",
      [
        "LogModel", "Storage", "CrashStates", "LogClients", "WriteAheadLog", "PartitionEngine", "ObjectStore",
        "FaultInjection", "Defects", "Verification", "RecordLogs", "EventReceivers", "LoopDisks", "SystemUnderTest",
        "EngineAdapter", "ClientWorkloads", "ProfileReports",
      ],
      plugins: ["CallSiteTable"]),
    // What a program did on a volume, as crash states are made of it, and the states served back.
    busyModule("VolumeStates", ["LogModel", "CrashStates", "Volume"]),
    // Programs that call the program under test, and what is said to them. Knows nothing of logs or files.
    module("Drivers", ["CProcess"]),
    // The partition engine behind the driver protocol, as a program under test.
    module(
      "EngineDriver", ["LogModel", "Storage", "WriteAheadLog", "PartitionEngine", "Defects", "Drivers"]),
    // A mounted volume that others cut, fail and copy through a socket.
    module("VolumeControl", ["LogModel", "CrashStates", "Volume", "VolumeStates"]),
    // What a program serves after a crash, judged by what its callers had been told. Knows neither files nor drivers.
    busyModule("ProgramOracle", ["LogModel", "Verification"]),
    // Programs under test: a recorded run, its crash states, kills, faults, and what is found.
    module(
      "ProgramTesting",
      [
        "LogModel", "Storage", "CrashStates", "Volume", "VolumeStates", "Drivers", "ProgramOracle", "Verification",
        "CProcess", "LoopDisks", "CLoopDisks", "ProfileReports",
      ]),
    // Short sequences of file operations, on real file systems and in the crash-state model.
    module(
      "DiskTraces", ["LogModel", "CrashStates", "LoopDisks", "CLoopDisks", .product(name: "Yams", package: "Yams")]),
    // Lists the lines of the engine that start operations, for the error matrix.
    .plugin(name: "CallSiteTable", capability: .buildTool()),
    // Cells of scenarios as explorations, and crash states as scenarios.
    module(
      "ScenarioExploration",
      [
        "LogModel", "Storage", "CrashStates", "Defects", "Verification", "ScenarioFormat", "Reporting", "Exploration",
        "Trials",
      ]),
    // Every defect in every way of looking.
    module(
      "DefectMatrix",
      [
        "LogModel", "Storage", "CrashStates", "WriteAheadLog", "Defects", "Verification", "ScenarioFormat", "Reporting",
        "Exploration", "Trials", "ScenarioExploration", "EventReceivers", "CProcess",
      ]),
    // What this machine allows.
    module("Doctor", ["Storage", "CProcess"]),
    module(
      "Benchmarks",
      [
        "LogModel", "Storage", "WriteAheadLog", "PartitionEngine", "ObjectStore", "CrashStates", "CRawLoops", "CPeers",
        "Plots",
      ]),
    // Plots as SVG, and the one page that they stand on. Knows nothing of what they show.
    module("Plots", []),
    // Which sync policy suits a disk, a load and a limit of loss.
    busyModule(
      "Tuning",
      [
        "LogModel", "Storage", "WriteAheadLog", "PartitionEngine", "FaultInjection", "CRawLoops", "Reporting",
        "Verification", "Plots", .product(name: "Histogram", package: "hdrhistogram-swift"),
      ]),
    // The same for programs behind drivers: which of their configurations.
    busyModule(
      "ProgramTuning",
      ["LogModel", "Storage", "Drivers", "ProgramOracle", "ProgramTesting", "Tuning"]),
    .executableTarget(
      name: "tornlog",
      dependencies: [
        "LogModel", "Storage", "WriteAheadLog", "PartitionEngine", "FaultInjection", "Defects", "Verification",
        "ScenarioFormat", "Reporting", "Trials", "Benchmarks", "CrashStates", "Exploration", "ScenarioExploration",
        "DefectMatrix", "Doctor", "LoopDisks", "DiskTraces", "CProcess", "Metrics", "HTTPServing", "Tuning", "Drivers",
        "EngineDriver", "ProgramOracle", "ProgramTesting", "Volume", "VolumeStates", "VolumeControl", "ProfileReports",
        "LogTools", "RecordLogs", "HTTPDelivery", "ProgramTuning",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),

    // Small log files in every format, written by the engine's codecs.
    support("SampleLogs", ["LogModel", "RecordLogs", "WriteAheadLog"]),
    // What libFuzzer calls; see `make fuzz`.
    support("WalFuzz", ["LogTools", "LogModel"]),
    // Storage that calls a test back when a trigger is met.
    support("TriggeredStorage", ["LogModel", "Storage", "FaultInjection"]),
    // Leases in SQLite; the engine knows them as one more `WriterExclusion`.
    support(
      "LeaseDatabase",
      [
        "LogModel", "Storage", "WriteAheadLog", "PartitionEngine", "Metrics",
        .product(name: "GRDB", package: "GRDB.swift"),
      ]),
    .executableTarget(name: "SeccompLauncher", path: "Tests/SeccompLauncher", cSettings: [.define("_GNU_SOURCE")]),
    .target(
      name: "FaultWorkload", dependencies: ["LogModel", "Storage", "WriteAheadLog", "PartitionEngine"],
      path: "Tests/FaultWorkload", swiftSettings: strict),
    .executableTarget(
      name: "FaultWorker", dependencies: ["FaultWorkload", "LogModel", "Storage", "CProcess"],
      path: "Tests/FaultWorker",
      swiftSettings: strict),
    tests(
      "RealFaults", ["FaultWorkload", "FaultWorker", "FaultInjection", "LogModel", "Storage", "PartitionEngine"]),
    // A program that has a volume: what the tests of `Volume` kill, and what measures it.
    .target(name: "CVolumeCalls", path: "Tests/CVolumeCalls", cSettings: [.define("_GNU_SOURCE")]),
    // Random operations in two folders, compared.
    .target(
      name: "VolumeWorkloads", dependencies: ["CVolumeCalls"], path: "Tests/VolumeWorkloads",
      swiftSettings: strict + optimized),
    .executableTarget(
      name: "VolumeHost", dependencies: ["Volume", "VolumeWorkloads", "CVolumeCalls", "CURing"],
      path: "Tests/VolumeHost", swiftSettings: strict),
    // Reads the files of the repository; imports nothing of it.
    tests("Tidy", []),
    tests("DiskTraces", ["DiskTraces", "CrashStates"]),
    tests(
      "CommandLine",
      [
        "tornlog", "SeccompLauncher", "SampleLogs", "LogModel", "RecordLogs", "EventReceivers",
        .product(name: "Yams", package: "Yams"),
      ]),
    tests("Storage", ["LogModel", "Storage"]),
    tests("FaultInjection", ["LogModel", "Storage", "FaultInjection", "TriggeredStorage"]),
    tests("ObjectStore", ["LogModel", "Storage", "ObjectStore", "FaultInjection", "TriggeredStorage", "CZlib"]),
    tests("WriteAheadLog", ["LogModel", "Storage", "WriteAheadLog", "FaultInjection", "TriggeredStorage", "CZlib"]),
    tests("Metrics", ["Metrics", "HTTPServing"]),
    .testTarget(
      name: "AlertsTests",
      dependencies: [
        "Metrics", "RecordLogs", "EventReceivers", "Storage", "LogModel", "WriteAheadLog", "PartitionEngine",
        "ObjectStore", "LeaseDatabase", "Trials",
      ],
      exclude: ["as-documented.rules.yml"], swiftSettings: strict),
    tests(
      "RecordLogs",
      [
        "LogModel", "Storage", "RecordLogs", "Metrics", "EventReceivers", "FaultInjection", "TriggeredStorage", "CZlib",
      ]),
    tests(
      "LogTools",
      ["LogTools", "SampleLogs", "LogModel", "Storage", "RecordLogs", "WriteAheadLog", "ObjectStore", "CZlib"]),
    tests("HTTPDelivery", ["HTTPDelivery", "LogModel", "Storage", "RecordLogs", "Metrics", "EventReceivers"]),
    tests(
      "PartitionEngine",
      [
        "LogModel", "Storage", "WriteAheadLog", "PartitionEngine", "FaultInjection", "TriggeredStorage",
        "ObjectStore", "Defects", "RecordLogs",
      ]),
    tests(
      "Volume",
      [
        "Volume", "VolumeControl", "VolumeStates", "CrashStates", "LogModel", "VolumeHost", "VolumeWorkloads",
        "CVolumeCalls", "Storage",
      ]),
    tests("ProgramOracle", ["ProgramOracle", "LogModel", "Verification"]),
    .testTarget(
      name: "ProgramTestingTests",
      dependencies: [
        "ProgramTesting", "ProgramOracle", "Drivers", "CrashStates", "Volume", "VolumeStates", "Verification",
        "LogModel", "CLoopDisks",
      ], exclude: ["misbehaving.py"], swiftSettings: strict),
    tests(
      "EngineDriver",
      [
        "tornlog", "EngineDriver", "ProgramTesting", "ProgramOracle", "Drivers", "Exploration", "CrashStates",
        "Defects",
        "Verification", "Volume", "VolumeStates", "PartitionEngine", "WriteAheadLog", "Storage", "LogModel",
      ]),
    tests("LeaseDatabase", ["LogModel", "Storage", "WriteAheadLog", "PartitionEngine", "LeaseDatabase"]),
    tests("Benchmarks", ["Benchmarks", "LogModel", "Storage"]),
    tests(
      "Exploration",
      [
        "Exploration", "CrashStates", "LogModel", "Storage", "WriteAheadLog", "PartitionEngine", "FaultInjection",
        "Defects", "Verification", "LoopDisks", "SystemUnderTest", "EngineAdapter",
      ]),
    tests("Plots", ["Plots"]),
    tests("Tuning", ["Tuning", "LogModel", "Storage", "FaultInjection", "Reporting", "Verification"]),
    .testTarget(
      name: "ProgramTuningTests",
      dependencies: [
        "ProgramTuning", "Tuning", "ProgramTesting", "ProgramOracle", "Drivers", "Volume", "LogModel", "Reporting",
        "Verification",
      ], exclude: ["known.py"], swiftSettings: strict),
    tests("Doctor", ["Doctor", "Storage", "Trials"]),
    tests(
      "Trials",
      [
        "Trials", "DefectMatrix", "ScenarioExploration", "Storage", "LogModel", "Verification", "ScenarioFormat",
        "Reporting", "CrashStates", "LogClients", "Exploration", "Defects", "FaultInjection", "EventReceivers",
        "ObjectStore", "PartitionEngine", "WriteAheadLog", "CProcess", "SystemUnderTest",
      ]),
    tests("SystemUnderTest", ["SystemUnderTest", "LogModel", "Verification"]),
    tests("Verification", ["LogModel", "Verification"]),
    tests("ScenarioFormat", ["ScenarioFormat", "LogModel"]),
    tests("Reporting", ["Reporting", "LogModel", "Verification"]),
  ]
)
