import LogModel
import RecordLogs

/// The lines.
extension LogDump {
  func printMessage(_ message: LogMessage, _ entry: LogEntry, _ batch: Int64?, _ file: LogFile) {
    switch style {
    case .runbook: printRunbook(message, entry)
    case .text: printText(message, entry, batch, file)
    case .json: printJSON(message, entry, batch, file)
    }
  }

  private func printRunbook(_ message: LogMessage, _ entry: LogEntry) {
    out.put("Record ")
    out.put(number)
    out.put(": offset=")
    out.put(message.position)
    out.put(", crc=")
    out.put(hex: entry.stored, digits: entry.checksumDigits)
    out.put(", key_size=")
    out.put(Int64(message.key?.count ?? 0))
    out.put(", value_size=")
    out.put(Int64(message.value.count))
    out.endLine()
  }

  private func printText(_ message: LogMessage, _ entry: LogEntry, _ batch: Int64?, _ file: LogFile) {
    putFile(file)
    out.put("offset=")
    if let offset = message.offset { out.put(offset) } else { out.put("-") }
    out.put(" byte=")
    out.put(message.position)
    out.put(" length=")
    out.put(message.length)
    out.put(" key_size=")
    if let key = message.key { out.put(Int64(key.count)) } else { out.put("-") }
    out.put(" value_size=")
    out.put(Int64(message.value.count))
    putSums(entry)
    if let time = entry.timestamp {
      out.put(" time=")
      out.put(time: time)
    }
    if let uptime = entry.uptime {
      out.put(" uptime_ns=")
      out.put(uptime)
    }
    if let epoch = entry.epoch {
      out.put(" epoch=")
      out.put(unsigned: epoch)
    }
    if let batch {
      out.put(" batch=")
      out.put(batch)
    }
    switch entry.note {
    case .none: break
    case .status(let status):
      out.put(" status=")
      out.put(status.word)
    case .operation(let operation):
      out.put(" operation=")
      out.put(operation.word)
    }
    out.put(" state=valid\n")
    guard showsBytes else { return }
    if let key = message.key, !key.isEmpty { putHexDump("key", key, file) }
    if !message.value.isEmpty { putHexDump("value", message.value, file) }
  }

  private func putFile(_ file: LogFile) {
    guard namesFile else { return }
    out.put(text: file.path)
    out.put(": ")
  }

  private func putSums(_ entry: LogEntry) {
    out.put(" stored=")
    out.put(hex: entry.stored, digits: entry.checksumDigits)
    out.put(" computed=")
    out.put(hex: entry.computed, digits: entry.checksumDigits)
  }

  /// Sixteen bytes a line, each line with the place in the file that it begins at.
  private func putHexDump(_ what: StaticString, _ range: Range<Int64>, _ file: LogFile) {
    var at = range.lowerBound
    while at < range.upperBound, !out.isOver {
      let piece = file.reader.window.bytes(at..<min(at + 16, range.upperBound))
      out.put("  ")
      out.put(what)
      out.put(" ")
      out.put(hex: UInt64(at), digits: 8)
      for index in 0..<16 {
        out.put(index == 8 ? "  " : " ")
        if index < piece.count { piece[index...index].withUnsafeBytes { out.put(hex: $0) } } else { out.put("  ") }
      }
      out.put("  |")
      for byte in piece { out.put(byte: (0x20..<0x7F).contains(byte) ? byte : UInt8(ascii: ".")) }
      out.put("|\n")
      at += 16
    }
  }

  private func printJSON(_ message: LogMessage, _ entry: LogEntry, _ batch: Int64?, _ file: LogFile) {
    beginJSON(file)
    if let offset = message.offset { put("offset", offset) }
    put("byte", message.position)
    put("length", message.length)
    if let key = message.key { put("keySize", Int64(key.count)) }
    put("valueSize", Int64(message.value.count))
    putJSON(entry)
    if let batch { put("batch", batch) }
    if let key = message.key { putKey(key, file) }
    if showsBytes {
      out.put(",\"value\":\"")
      file.reader.window.forEachPiece(message.value) { (bytes: UnsafeRawBufferPointer) in out.put(hex: bytes) }
      out.put("\"")
    }
    out.put(",\"state\":\"valid\"}\n")
  }

  private func beginJSON(_ file: LogFile) {
    out.put("{\"file\":\"")
    out.put(json: file.path)
    out.put("\",\"record\":")
    out.put(number)
  }

  private func put(_ name: StaticString, _ value: Int64) {
    out.put(",\"")
    out.put(name)
    out.put("\":")
    out.put(value)
  }

  private func putJSON(_ entry: LogEntry) {
    out.put(",\"stored\":\"")
    out.put(hex: entry.stored, digits: entry.checksumDigits)
    out.put("\",\"computed\":\"")
    out.put(hex: entry.computed, digits: entry.checksumDigits)
    out.put("\"")
    if let time = entry.timestamp { put("timestamp", time) }
    if let uptime = entry.uptime { put("uptime", uptime) }
    if let epoch = entry.epoch {
      out.put(",\"epoch\":")
      out.put(unsigned: epoch)
    }
    switch entry.note {
    case .none: break
    case .status(let status):
      out.put(",\"status\":\"")
      out.put(status.word)
      out.put("\"")
    case .operation(let operation):
      out.put(",\"operation\":\"")
      out.put(operation.word)
      out.put("\"")
    }
  }

  /// As text where it is UTF-8; else, and where it is long, the first KiB in hexadecimal.
  private func putKey(_ range: Range<Int64>, _ file: LogFile) {
    let bytes = file.reader.window.bytes(range.lowerBound..<min(range.upperBound, range.lowerBound + 1024))
    if bytes.count == range.count, let text = String(validating: bytes, as: UTF8.self) {
      out.put(",\"key\":\"")
      out.put(json: text)
    } else {
      out.put(",\"keyHex\":\"")
      bytes.withUnsafeBytes { out.put(hex: $0) }
    }
    out.put("\"")
  }

  // MARK: Damage

  func printDamage(_ damage: LogDamage, _ state: StaticString, _ file: LogFile) {
    switch style {
    case .json:
      beginJSON(file)
      put("byte", damage.range.lowerBound)
      put("length", Int64(damage.range.count))
      if let entry = damage.entry { putJSON(entry) }
      if let flip = damage.flip {
        put("flippedByte", flip.at)
        put("flippedBit", Int64(flip.bit))
      }
      out.put(",\"fault\":\"")
      out.put(json: damage.fault.description)
      out.put("\",\"state\":\"")
      out.put(state)
      out.put("\"}\n")
    case .text, .runbook:
      if style == .text { putFile(file) }
      out.put(style == .text ? "offset=- byte=" : "Record ")
      if style == .runbook {
        out.put(number)
        out.put(": offset=")
      }
      out.put(damage.range.lowerBound)
      out.put(style == .text ? " length=" : ", length=")
      out.put(Int64(damage.range.count))
      if style == .text, let entry = damage.entry { putSums(entry) }
      out.put(style == .text ? " state=" : ", ")
      out.put(state)
      if let flip = damage.flip { out.put(text: ": \(flip) is flipped") } else { out.put(text: ": \(damage.fault)") }
      out.endLine()
    }
  }
}
