// swift-tools-version: 6.2
import PackageDescription

// The rooms of the house and who may import whom. The dependency lists below are the import rules:
// `Verification` sees `LogModel` only, the engine never sees the modules that test it.

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

/// The tests search thousands of states and orders: they run three times as fast on optimised rooms, with assertions and
/// exclusivity checks kept, than they do without.
let tested: [SwiftSetting] = [.unsafeFlags(["-O", "-assert-config", "Debug"], .when(configuration: .debug))]

/// A life of the engine in an exploration crosses rooms thousands of times, and is a tenth faster where the optimiser does too.
let acrossRooms: [SwiftSetting] = [.unsafeFlags(["-cross-module-optimization"], .when(configuration: .release))]

func room(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict + tested + acrossRooms)
}

/// A room on the append path: its classes belong to one loop each, and the run-time checks of exclusive access, which
/// debug builds and their tests keep, cost a tenth of an append.
func fastRoom(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(
    name: name, dependencies: dependencies,
    swiftSettings: strict + tested + acrossRooms + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))])
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name + "Tests", dependencies: dependencies, swiftSettings: strict)
}

let package = Package(
  name: "tornlog",
  products: [.executable(name: "tornlog", targets: ["tornlog"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
  ],
  targets: [
    .target(name: "CURing", cSettings: [.define("_GNU_SOURCE")], linkerSettings: [.linkedLibrary("uring")]),
    .target(name: "CProcess", cSettings: [.define("_GNU_SOURCE")]),
    .target(name: "CLoopDisks", cSettings: [.define("_GNU_SOURCE")]),
    .target(name: "CZlib", linkerSettings: [.linkedLibrary("z"), .linkedLibrary("deflate")]),
    .target(
      name: "CRawLoops", cSettings: [.define("_GNU_SOURCE")],
      linkerSettings: [.linkedLibrary("uring"), .linkedLibrary("z")]),

    room("LogModel", []),
    fastRoom("Storage", ["LogModel", "CURing"]),
    fastRoom("WriteAheadLog", ["LogModel", "Storage", "CZlib"]),
    // What sealed segments go to; knows objects and their names, and nothing of logs.
    room("ObjectStore", ["LogModel", "Storage", "CZlib"]),
    // Logs of single records in the formats of real systems. Knows nothing of partitions.
    fastRoom("RecordLogs", ["LogModel", "Storage", "Metrics", "CZlib"]),
    fastRoom("PartitionEngine", ["LogModel", "Storage", "WriteAheadLog", "ObjectStore", "RecordLogs", "Metrics"]),
    // Leases in SQLite; the engine knows them as one more `WriterExclusion`.
    room(
      "LeaseDatabase",
      ["LogModel", "Storage", "WriteAheadLog", "PartitionEngine", "Metrics", .product(name: "GRDB", package: "GRDB.swift")]),
    // Events of a job's log over HTTP. Apart, so that nobody else has a network in the process.
    room("HTTPDelivery", ["RecordLogs"]),
    // Counters, gauges, histograms and their text. Knows nothing of what is counted.
    fastRoom("Metrics", ["LogModel"]),
    // A small HTTP server: metrics to whoever scrapes them, and what a receiver of events stands on.
    room("HTTPServing", ["LogModel", "Metrics", "CProcess"]),
    // Receivers of events that misbehave on demand, in virtual time and behind a socket.
    room("EventReceivers", ["LogModel", "Storage", "RecordLogs", "HTTPServing"]),
    room("FaultInjection", ["LogModel", "Storage", "ObjectStore"]),
    // Real file systems on loop devices; knows nothing of logs.
    room("LoopDisks", ["CLoopDisks"]),
    room("Defects", ["LogModel", "Storage", "WriteAheadLog", "PartitionEngine", "RecordLogs"]),
    room("Verification", ["LogModel"]),
    // Workloads of programs that keep logs of their own, for trials and explorations alike.
    room("ClientWorkloads", ["LogModel", "Storage", "RecordLogs", "Verification"]),
    // The interface of a log that is tested, and the consumer that reads one back for the oracle. Knows no engine.
    fastRoom("SystemUnderTest", ["LogModel", "Verification"]),
    // The partition engine behind that interface.
    fastRoom("EngineAdapter", ["LogModel", "Storage", "WriteAheadLog", "PartitionEngine", "Verification", "SystemUnderTest"]),
    room("ScenarioFormat", ["LogModel", .product(name: "Yams", package: "Yams")]),
    room("Reporting", ["LogModel", "Verification", "Metrics"]),
    room(
      "Trials",
      [
        "LogModel", "Storage", "WriteAheadLog", "PartitionEngine", "ObjectStore", "FaultInjection", "Defects", "Verification",
        "ScenarioFormat", "Reporting", "Exploration", "CProcess", "Metrics", "RecordLogs", "HTTPDelivery", "HTTPServing",
        "EventReceivers", "SystemUnderTest", "EngineAdapter", "ClientWorkloads",
      ]),
    // Sees the engine and what judges it, as `Trials` does; the runner, scenarios and reports are none of its business.
    fastRoom(
      "Exploration",
      [
        "LogModel", "Storage", "WriteAheadLog", "PartitionEngine", "ObjectStore", "FaultInjection", "Defects", "Verification",
        "RecordLogs", "EventReceivers", "LoopDisks", "SystemUnderTest", "EngineAdapter",
        "ClientWorkloads",
      ]),
    fastRoom("Benchmarks", ["LogModel", "Storage", "WriteAheadLog", "PartitionEngine", "ObjectStore", "CRawLoops"]),
    .executableTarget(
      name: "tornlog",
      dependencies: [
        "LogModel", "Storage", "WriteAheadLog", "PartitionEngine", "FaultInjection", "Defects", "Verification",
        "ScenarioFormat", "Reporting", "Trials", "Benchmarks", "Exploration", "LoopDisks", "CProcess", "Metrics", "HTTPServing",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),

    .executableTarget(name: "SeccompLauncher", path: "Tests/SeccompLauncher", cSettings: [.define("_GNU_SOURCE")]),
    .target(
      name: "FaultWorkload", dependencies: ["LogModel", "Storage", "WriteAheadLog", "PartitionEngine"],
      path: "Tests/FaultWorkload", swiftSettings: strict),
    .executableTarget(
      name: "FaultWorker", dependencies: ["FaultWorkload", "Storage", "CProcess"], path: "Tests/FaultWorker",
      swiftSettings: strict),
    tests(
      "RealFaults", ["FaultWorkload", "FaultWorker", "FaultInjection", "LogModel", "Storage", "PartitionEngine"]),
    tests("CommandLine", ["tornlog", "SeccompLauncher"]),
    tests("Storage", ["LogModel", "Storage"]),
    tests("FaultInjection", ["LogModel", "Storage", "FaultInjection"]),
    tests("ObjectStore", ["LogModel", "Storage", "ObjectStore", "FaultInjection", "CZlib"]),

    tests("WriteAheadLog", ["LogModel", "Storage", "WriteAheadLog", "FaultInjection", "CZlib"]),
    tests("Metrics", ["Metrics", "HTTPServing"]),
    .testTarget(
      name: "AlertsTests",
      dependencies: [
        "Metrics", "RecordLogs", "EventReceivers", "Storage", "LogModel", "WriteAheadLog", "PartitionEngine", "ObjectStore",
        "LeaseDatabase", "Trials",
      ],
      exclude: ["as-documented.rules.yml"], swiftSettings: strict),
    tests("RecordLogs", ["LogModel", "Storage", "RecordLogs", "Metrics", "EventReceivers", "FaultInjection", "CZlib"]),
    tests("HTTPDelivery", ["HTTPDelivery", "LogModel", "Storage", "RecordLogs", "Metrics", "EventReceivers"]),
    tests(
      "PartitionEngine",
      ["LogModel", "Storage", "WriteAheadLog", "PartitionEngine", "FaultInjection", "ObjectStore", "Defects", "RecordLogs"]),
    tests("LeaseDatabase", ["LogModel", "Storage", "WriteAheadLog", "PartitionEngine", "LeaseDatabase"]),
    tests("Benchmarks", ["Benchmarks", "LogModel", "Storage"]),
    tests(
      "Exploration",
      ["Exploration", "LogModel", "Storage", "WriteAheadLog", "PartitionEngine", "FaultInjection", "Defects", "Verification",
        "LoopDisks", "SystemUnderTest", "EngineAdapter"]),
    tests("SystemUnderTest", ["SystemUnderTest", "LogModel", "Verification"]),
    tests(
      "Trials",
      ["Trials", "Storage", "LogModel", "Verification", "ScenarioFormat", "Reporting", "Exploration", "Defects",
        "FaultInjection", "EventReceivers", "ObjectStore", "PartitionEngine", "WriteAheadLog", "CProcess", "SystemUnderTest"]),
    tests("Verification", ["LogModel", "Verification"]),
    tests("ScenarioFormat", ["ScenarioFormat", "LogModel"]),
    tests("Reporting", ["Reporting", "LogModel", "Verification"]),
  ]
)
