import Glibc
import LogModel
import Storage
import Testing

/// The model against the simplest thing that could be right: two byte arrays a file.
private struct Reference {
  var settled: [UInt8] = []
  var durable: [UInt8] = []
  /// Durable writes that completed, with the number of each; a sync in flight must not undo them.
  var durableWrites: [(at: Int, bytes: [UInt8])] = []
  var lastSync = 0

  static func put(_ bytes: [UInt8], at: Int, into image: inout [UInt8]) {
    if image.count < at + bytes.count { image += [UInt8](repeating: 0, count: at + bytes.count - image.count) }
    image.replaceSubrange(at..<at + bytes.count, with: bytes)
  }

  mutating func write(_ bytes: [UInt8], at: Int, durable isDurable: Bool) {
    Self.put(bytes, at: at, into: &settled)
    guard isDurable else { return }
    Self.put(bytes, at: at, into: &durable)
    durableWrites.append((at, bytes))
  }

  mutating func sync(number: Int, captured: [UInt8], writesBefore: Int) {
    guard number > lastSync else { return }
    lastSync = number
    durable = captured
    for write in durableWrites[writesBefore...] { Self.put(write.bytes, at: write.at, into: &durable) }
  }

  mutating func truncate(to size: Int) {
    if size < settled.count {
      settled.removeSubrange(size...)
    } else {
      settled += [UInt8](repeating: 0, count: size - settled.count)
    }
  }
}

/// Whether sector `k` of `result` is that of `image`, zeros standing beyond its end.
private func hasSector(_ k: Int, of result: [UInt8], _ image: [UInt8]) -> Bool {
  let range = k * 512..<min(k * 512 + 512, result.count)
  let there = range.lowerBound..<max(range.lowerBound, min(range.upperBound, image.count))
  return result.withUnsafeBytes { a in
    image.withUnsafeBytes { b in
      memcmp(a.baseAddress! + there.lowerBound, b.baseAddress! + there.lowerBound, there.count) == 0
        && result[there.upperBound..<range.upperBound].allSatisfy { $0 == 0 }
    }
  }
}

@Suite struct MemoryReferenceTests {
  @Test(arguments: 1...60) func oneWriterAtATime(seed: Int) throws {
    for latency in [MemoryLatency.zero, .disk] {
      try simulate(seed: UInt64(seed)) { loop in
        var random = SeededGenerator(seed: UInt64(seed))
        let disk = MemoryDisk(seed: UInt64(seed))
        var reference = Reference()
        for _ in 0..<4 {
          let s = MemoryStorage(disk: disk, loop: loop, latency: latency)
          let f = try await s.open("f", [.write, .create])
          try await s.syncDirectory("")
          for step in 1...30 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0:
              let size = Int.random(in: 0...20_000, using: &random)
              try await s.truncate(f, to: Int64(size))
              reference.truncate(to: size)
            case 1, 2:
              try await s.sync(f, step % 2 == 0 ? .data : .all)
              reference.durable = reference.settled
            default:
              let at = Int.random(in: 0...20_000, using: &random)
              let n = [1, 512, 700, 4096, 9000][Int.random(in: 0..<5, using: &random)]
              let data = bytes(n, UInt8.random(in: 1...255, using: &random))
              let durable = random.chance(1, in: 3)
              try await s.write(f, data, at: Int64(at), durable ? .durable : .volatile)
              reference.write(data, at: at, durable: durable)
            }
            #expect(disk.read("f") == reference.settled)
            #expect(disk.readDurable("f") == reference.durable)
            let at = Int.random(in: 0...20_000, using: &random)
            let read = try await s.read(f, 5000, at: Int64(at))
            #expect(read == Array(reference.settled.dropFirst(at).prefix(5000)))
          }
          if random.chance(1, in: 2) {
            #expect(disk.processKill(seed: random.next()).unfinished.isEmpty)
            #expect(disk.read("f") == reference.settled)
          } else {
            disk.powerLoss(seed: random.next(), profile: .dropUnsynced)
            #expect(disk.read("f") == reference.durable)
            reference.settled = reference.durable
          }
        }
      }
    }
  }

  /// Four writers, each in its own 16 KiB, and two syncers, until a crash at a random moment.
  @Test(arguments: 1...100) func manyInFlightAtACrash(seed: Int) throws {
    try simulate(seed: UInt64(seed)) { loop in
      let disk = MemoryDisk(seed: UInt64(seed))
      let s = MemoryStorage(disk: disk, loop: loop)
      let f = try await s.open("f", [.write, .create])
      try await s.syncDirectory("")
      let reference = Shared(Reference())
      let writing = Shared<[(at: Int, bytes: [UInt8], durable: Bool)?]>(Array(repeating: nil, count: 4))
      let syncing = Shared<[(image: [UInt8], writesBefore: Int)?]>(Array(repeating: nil, count: 2))
      let syncNumber = Shared(0)
      for w in 0..<4 {
        loop.spawn {
          var random = SeededGenerator(seed: UInt64(seed * 4 + w))
          do throws(StorageError) {
            while true {
              let at = w * 16_384 + Int.random(in: 0...12_000, using: &random)
              let n = [100, 512, 4096][Int.random(in: 0..<3, using: &random)]
              let data = bytes(n, UInt8.random(in: 1...255, using: &random))
              let durable = random.chance(1, in: 3)
              writing.value[w] = (at, data, durable)
              try await s.write(f, data, at: Int64(at), durable ? .durable : .volatile)
              writing.value[w] = nil
              reference.value.write(data, at: at, durable: durable)
            }
          } catch { #expect(error.isPowerLost) }
        }
      }
      for k in 0..<2 {
        loop.spawn {
          do throws(StorageError) {
            while true {
              syncNumber.value += 1
              let (number, captured, before) = (
                syncNumber.value, reference.value.settled, reference.value.durableWrites.count
              )
              syncing.value[k] = (captured, before)
              try await s.sync(f, .data)
              syncing.value[k] = nil
              reference.value.sync(number: number, captured: captured, writesBefore: before)
            }
          } catch { #expect(error.isPowerLost) }
        }
      }
      await loop.sleep(until: loop.now + .microseconds(Int64(200 + seed * 37 % 5000)))
      let (settled, durable) = (reference.value.settled, reference.value.durable)
      #expect(disk.read("f") == settled)
      #expect(disk.readDurable("f") == durable)
      let inFlight = writing.value.compactMap { $0 }
      let captured = syncing.value.compactMap { $0 }

      for profile in [PersistenceProfile.dropUnsynced, .posixMinimal] {
        let copy = disk.snapshot()
        copy.powerLoss(seed: UInt64(seed), profile: profile)
        let result = try #require(copy.read("f"))
        #expect(copy.readDurable("f") == result)
        var images = [durable] + captured.map(\.image)
        if profile == .posixMinimal { images.append(settled) }
        // A sync in flight and a durable write that completed after its submission meet in one sector: the sync's
        // image is as good with the later writes laid over it.
        for (image, before) in captured {
          var new = image
          for write in reference.value.durableWrites[before...] { Reference.put(write.bytes, at: write.at, into: &new) }
          images.append(new)
        }
        for image in images {
          for write in inFlight where write.durable || profile == .posixMinimal {
            var new = image
            Reference.put(write.bytes, at: write.at, into: &new)
            images.append(new)
          }
        }
        for k in 0..<(result.count + 511) / 512 {
          #expect(images.contains { hasSector(k, of: result, $0) }, "sector \(k)")
        }
        let sizes = images.map(\.count)
        #expect(sizes.contains(result.count))
      }
      let copy = disk.snapshot()
      copy.processKill(seed: UInt64(seed))
      let result = try #require(copy.read("f"))
      var images = [settled]
      for write in inFlight {
        var new = settled
        Reference.put(write.bytes, at: write.at, into: &new)
        images.append(new)
      }
      for k in 0..<(result.count + 511) / 512 {
        #expect(images.contains { hasSector(k, of: result, $0) }, "sector \(k)")
      }
      disk.powerLoss(seed: 1, profile: .dropUnsynced)
      await loop.sleep(until: loop.now + .milliseconds(5))
    }
  }
}
