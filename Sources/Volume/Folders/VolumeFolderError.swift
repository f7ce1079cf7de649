import Glibc

/// Why a plain folder could not be read or written.
package struct VolumeFolderError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The file or folder.
  package var path: String
  /// The call that failed.
  package var call: String
  /// Its errno.
  package var code: Int32

  package var description: String {
    "\(call) of \(path) failed (\(String(cString: strerror(code)))):"
      + " look at its permissions and at the room of its disk"
  }

  init(_ path: String, _ call: String, _ code: Int32 = errno) {
    self.path = path
    self.call = call
    self.code = code
  }
}

/// A call's result; negative is its errno.
@discardableResult func folderCall<Number: SignedInteger>(
  _ call: String, _ path: String, _ result: Number
) throws(VolumeFolderError) -> Number {
  if result < 0 { throw VolumeFolderError(path, call) }
  return result
}
