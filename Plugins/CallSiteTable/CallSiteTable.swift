import Foundation
import PackagePlugin

/// Writes the table of the engine's call sites into the module that has the error matrix, anew whenever a file of the
/// engine changes. By it the program names call sites that no error has hit, on machines that have no source.
@main struct CallSiteTable: BuildToolPlugin {
  func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
    let package = context.package.directoryURL
    let script = package.appending(path: "Scripts/call-sites.sh")
    var sources: [URL] = []
    // Where operations start that the engine is to cope with.
    for module in ["ObjectStore", "PartitionEngine", "RecordLogs", "Storage", "WriteAheadLog"] {
      let folder = package.appending(path: "Sources/\(module)")
      let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
      while let file = files?.nextObject() as? URL { if file.pathExtension == "swift" { sources.append(file) } }
    }
    sources.sort { $0.path < $1.path }
    let table = context.pluginWorkDirectoryURL.appending(path: "CallSiteTable.swift")
    return [
      .buildCommand(
        displayName: "Listing the engine's call sites", executable: URL(filePath: "/bin/sh"),
        arguments: [script.path, table.path] + sources.map(\.path), inputFiles: [script] + sources,
        outputFiles: [table])
    ]
  }
}
