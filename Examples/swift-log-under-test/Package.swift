// swift-tools-version: 6.2
import PackageDescription

// A log of 150 lines, and its crash test. In a project of your own the dependency is
// `.package(url: "https://.../tornlog", from: "...")`.
let package = Package(
  name: "swift-log-under-test",
  dependencies: [.package(name: "tornlog", path: "../..")],
  targets: [
    .target(name: "TinyLog", dependencies: [.product(name: "TornlogKit", package: "tornlog")]),
    .testTarget(name: "TinyLogTests", dependencies: ["TinyLog", .product(name: "TornlogKit", package: "tornlog")]),
  ],
  swiftLanguageModes: [.v6]
)
