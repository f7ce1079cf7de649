import Drivers
import Glibc
import Volume

extension VolumeMount {
  /// Puts the syncs of a program that FUSE hears nothing of in the trace of the volume that they are for.
  var syncNote: @Sendable (SyncCall) -> Void {
    var status = stat()
    let device = stat(folder, &status) == 0 ? status.st_dev : 0
    let volume = volume
    return { call in
      switch call {
      case .sync: volume.noteSyncAll()
      case .syncfs(let path):
        var status = stat()
        if stat(path, &status) == 0, status.st_dev == device { volume.noteSyncAll() }
      case .syncFileRange: break
      }
    }
  }
}
