import LogModel
import LogTools

/// What libFuzzer calls (`make fuzz`). The first byte says which format the others are read as, whether bits are turned
/// back, which policy, whether the reader and the repair are tried or `verify`, detection and `dump`, and whether wrong
/// checksums are made right before: no fuzzer guesses one.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  guard let data, count > 0 else { return 0 }
  let choice = data[0]
  var bytes = Array(UnsafeBufferPointer(start: data + 1, count: count - 1))
  let systems = LogSystem.allCases
  let system = systems[Int(choice & 7) % systems.count]
  if choice & 8 != 0 { bytes = LogFuzzing.sealed(bytes, as: system) }
  // Bit 6: what `verify` and `dump` make of the bytes. The format is told, or (with bit 7) has to be found.
  if choice & 64 != 0 {
    if let complaint = LogFuzzing.complaintOfCheck(bytes, format: choice & 128 != 0 ? nil : system) {
      fatalError("\(system): \(complaint)")
    }
    return 0
  }
  if let complaint = LogFuzzing.complaint(
    bytes, as: system, policy: choice & 16 != 0 ? .truncateAtCorruption : .skipCorrupted, fixingBits: choice & 32 != 0)
  {
    fatalError("\(system): \(complaint)")
  }
  return 0
}
