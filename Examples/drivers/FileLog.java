import java.io.*;
import java.nio.*;
import java.nio.channels.*;
import java.nio.file.*;
import java.util.*;
import java.util.regex.*;
import java.util.zip.CRC32;

/** The log of file-log.py in Java, behind the driver protocol, version 1. Start: java FileLog.java (JDK 17). */
class FileLog {
    final FileChannel file;
    final List<String> records = new ArrayList<>(); // POSITION NAME VALUE. The file has CHECKSUM before each.

    FileLog(Path folder) throws IOException {
        file = FileChannel.open(folder.resolve("log"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        String data = Files.readString(folder.resolve("log"), java.nio.charset.StandardCharsets.ISO_8859_1);
        int end = 0;
        for (int next; (next = data.indexOf('\n', end)) >= 0; end = next + 1) {
            String[] line = data.substring(end, next).split(" ", 2);
            // The position is part of what is checked: an old line that comes back is no record.
            if (!line[0].equals(checksum(line[line.length - 1])) || !line[1].startsWith(records.size() + " ")) break;
            records.add(line[1]);
        }
        if (end < data.length()) file.truncate(end); // A torn line was never acknowledged.
        file.position(end);
        file.force(true); // What was read must not be lost later, nor the cut come back.
        try (FileChannel parent = FileChannel.open(folder)) { parent.force(true); } // The name of a new file.
    }

    int append(String name, String value) throws IOException {
        String record = records.size() + " " + name + " " + value;
        ByteBuffer line = ByteBuffer.wrap((checksum(record) + " " + record + "\n").getBytes());
        while (line.hasRemaining()) file.write(line);
        file.force(true);
        records.add(record);
        return records.size() - 1;
    }

    static String checksum(String text) {
        CRC32 crc = new CRC32();
        crc.update(text.getBytes());
        return String.format("%08x", crc.getValue());
    }

    /** A member of a flat JSON object: a string without its escapes, or a number or a word as it stands there. */
    static String member(String json, String name) {
        String value = "\\s*:\\s*(?:\"([^\"\\\\]*+(?:\\\\.[^\"\\\\]*+)*+)\"|([^,}\\s]+))";
        Matcher found = Pattern.compile('"' + name + '"' + value).matcher(json);
        if (!found.find()) return "";
        return found.group(1) == null ? found.group(2) : found.group(1).replaceAll("\\\\(.)", "$1");
    }

    static void reply(String id, String members) { System.out.println("{\"id\":" + id + "," + members + "}"); }
    static String quoted(String text) { return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"'; }

    public static void main(String[] arguments) throws IOException {
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in));
        FileLog log = null;
        for (String line; (line = requests.readLine()) != null; System.out.flush()) {
            String id = member(line, "id"), name = member(line, "log"), more = "";
            try {
                switch (member(line, "op")) {
                    case "hello" -> more = ",\"name\":\"filelog-java\",\"version\":\"1\""
                        + ",\"ops\":[\"append\",\"scan\"],\"reopens\":true";
                    case "open" -> log = new FileLog(Path.of(member(line, "dir")));
                    case "append" -> more = ",\"position\":" + log.append(name, member(line, "value"));
                    case "scan" -> log.records.stream().map(r -> r.split(" ", 3)).filter(r -> r[1].equals(name))
                        .forEach(r -> reply(id, "\"items\":[[" + r[0] + "," + quoted(r[2]) + "]]"));
                    case "close" -> { if (log != null) log.file.close(); }
                    default -> throw new UnsupportedOperationException("no such operation");
                }
                reply(id, "\"ok\":true" + more);
            } catch (Exception error) { // The program's own failure; or the driver's, which says nothing about it.
                String outcome = error instanceof IOException ? "unknown" : "driver";
                if (error instanceof IOException && log != null) log.file.close(); // Nobody knows what is on the disk.
                reply(id, "\"ok\":false,\"outcome\":\"" + outcome + "\",\"error\":" + quoted("" + error));
            }
        }
    }
}
