import Testing

extension CommandLineTests {
  /// What the user typed is wrong: said at once, with its exit code, and nothing is touched.
  @Suite struct Usage {
    @Test(arguments: [
      (["run", "--bogus"], "Unknown option '--bogus'"),
      (["run", "--storage", "disk"], "'disk' is invalid for '--storage"),
      (["run", "-k", "mesages=10"], "column 1: unknown axis 'mesages'; did you mean 'messages'?"),
      (["run", "-k", "messages=10 and ("], "column 18: expected a term"),
      (["run", "--shard", "3/2"], "'3/2' is no shard"),
      (["run", "--shard", "slice:3/2"], "'slice:3/2' is no shard"),
      (["run", "--shard", "auto:2"], "auto needs TORNLOG_SHARD_INDEX, CI_NODE_INDEX"),
      (["run", "-t", "quik"], "did you mean 'quick'?"),
      (["run", "--defect", "C2c"], "did you mean 'C2'?"),
      (["run", "--report", "jsn"], "there is no report 'jsn'; there are terminal, json, markdown, junit, openmetrics"),
      (
        ["explore", "crashes", "--report", "data-loss"],
        "there is no report 'data-loss'; there are terminal, json, markdown, junit, each"
      ),
      (["doctor", "--report", "openmetrics=x"], "there is no report 'openmetrics'"),
      (["doctor", "--report", "html"], "there is no report 'html'"),
      (["run", "--report", "json="], "names no path"),
      (["run", "--color", "blue"], "'blue' is invalid for '--color"),
      (["run", "--progress", "some"], "'some' is invalid for '--progress"),
      (["run", "--keep", "all"], "'all' is invalid for '--keep"),
      (["run", "--jobs", "0"], "--jobs 0"),
      (["run", "--seeds", "0"], "--seeds 0"),
      (["run", "--seeds", "1000000", "--repeat", "1000000"], "lower --seeds"),
      (["run", "--timeout", "soon"], "'soon' is invalid for '--timeout"),
      (["run", "--deadline", "soon"], "'soon' is invalid for '--deadline"),
      (["run", "--seed", "-1"], "The value '-1' is invalid for '--seed"),
      (["run", "--jobs", "-3"], "--jobs -3: from 1 to 256"),
      (["run", "--timeout", "-1s"], "'-1s' is invalid for '--timeout"),
      (["run", "--deadline", "0s"], "'0s' is invalid for '--deadline"),
      (["run", "--seeds", "-1"], "--seeds -1: from 1 to 1000000"),
      (["run", "-q", "-v"], "-q and -v: one or the other"),
      (["run", "-k", "messages<="], "column 11: expected a value after '<='"),
      (["run", "-k", "sync<always"], "sync is a word, and words have no order"),
      (
        ["run", "--report", "json", "--report", "junit"], "--report json and --report junit both go to standard output"
      ),
      (["run", "--report", "terminal", "--report", "json"], "both go to standard output"),
      (["explore", "--reference", "--report", "terminal", "--report", "json"], "both go to standard output"),
      (["defects", "--report", "markdown", "--report", "json"], "both go to standard output"),
      (["bench", "--report", "terminal", "--report", "json"], "both go to standard output"),
      (["run", "--report", "json=/tmp/x", "--report", "junit=/tmp/../tmp/x"], "are the same file"),
      (["explore", "--jobs", "-3"], "--jobs -3: from 1 to 1024"),
      (["explore", "errors", "--jobs", "-3"], "--jobs -3: from 1 to 1024"),
      (["explore", "errors", "--deadline", "soon"], "'soon' is invalid for '--deadline"),
      (["explore", "errors", "--seed", "3"], "Unknown option '--seed'"),
      (["explore", "errors", "--scenario", "none-such"], "--scenario: one of "),
      (["explore", "schedules", "--preemptions", "9"], "--preemptions 9: 0 to 8"),
      (["explore", "clients", "robots"], "'robots' is invalid for '<client>'"),
      (["explore", "clients", "delivery", "--state", "x"], "--state: name the one --profile"),
      (["explore", "crashes", "--profile", "ext5"], "ext5"),
      (["explore", "crashes", "--bound", "9"], "--bound 9: from 1 to 8"),
      (["explore", "crashes", "--reference", "--sync", "often"], "'often' is invalid for '--sync"),
      (["explore", "crashes", "--reference", "-t", "quick"], "--reference explores no scenarios; leave out -t"),
      (["run", "--timeout", "5"], "'5' is invalid for '--timeout <duration>'; give a unit, like 500ms, 30s or 10m"),
      (["runn"], "there is no command 'runn'; did you mean 'run'?"),
      (["explore", "crashes", "--nonsense", "3", "--reference"], "there is no option '--nonsense'"),
      (["explore", "clients", "--nonsense", "3", "delivery"], "there is no option '--nonsense'"),
      (["explore", "errrors"], "or did you mean 'errors'?"),
      (["explore", "crashes", "--reference", "there"], "--reference explores no scenarios; leave out 'there'"),
      (["explore", "crashes", "--sync", "never"], "describe the reference workload; add --reference"),
      (["explore", "crashes", "--timeout", "10ms"], "--timeout 10ms: 100ms or more"),
      (["explore", "disks", "zfs"], "zfs"),
      (["explore", "--errors", "--schedules"], "Unknown option '--schedules'"),
      (["defects", "--strategy", "looking"], "'looking' is invalid for '--strategy"),
      (["defects", "--jobs", "-3"], "--jobs -3: from 1 to 256"),
      (["shrink", "t1.x", "--jobs", "-3"], "--jobs -3: from 1 to 256"),
      (["bench", "--producers", "3"], "--producers 3: 1, 4, 16 or 64"),
      (["bench", "--producers", "-1"], "--producers -1: 1, 4, 16 or 64"),
      (["bench", "--rounds", "-1"], "--rounds -1"),
      (["bench", "--kind", "log"], "--kind: of --recovery only"),
      (["tune", "--max-loss", "50"], "'50' is invalid for '--max-loss <loss>'"),
      (["tune", "--rate", "0"], "'0' is invalid for '--rate <rate>'"),
      (["tune", "--rate", "fast"], "'fast' is invalid for '--rate <rate>'"),
      (["tune", "--message-size", "15"], "--message-size 15: from 16 to 65536"),
      (["tune", "--producers", "0"], "--producers 0: from 1 to 1000"),
      (["tune", "--batch", "1000"], "a request has at most 240 kB"),
      (["tune", "--stall", "1s/200ms"], "'1s/200ms' is invalid for '--stall <stall>'"),
      (["tune", "--storage", "memory"], "a disk is measured"),
      (["help", "nope"], "there is no command 'nope': one of demo, run, "),
      (["help", "benh"], "did you mean 'bench'?"),
      (["reproduce"], "<token>"),
      (["reproduce", "t3.m=10"], "is no token"),
      (["reproduce", "t2.m=10"], "the token is cut off"),
      (["reproduce", Cells.token() + ".m=7"], "has the field `m` twice"),
      (["reproduce", Cells.token() + ".foo=1"], "a field `foo`, which this build does not know"),
      (["shrink", "x2.m=10.v=00000000"], "the token is not as it was printed"),
      (["reproduce", "last:0"], "a number from 1 is needed"),
      (["reproduce", "last"], "nothing was run in this checkout yet"),
      (["shrink", "nowhere.json#1"], "the report nowhere.json cannot be read"),
      (["reproduce", "t1.sc=a.m=ten"], "token"),
      (["reproduce", Cells.token(defect: "C99")], "d=C99"),
      (["reproduce", Cells.token() + ".f=meteor/at-rest"], "a fault `meteor` that there is not"),
      (["reproduce", Cells.token().replacing(".b=10.", with: ".b=20000.")], "the engine takes 16773120 at most"),
      (["frobnicate"], "frobnicate"),
    ])
    func usageErrorsEndWith64(arguments: [String], message: String) async throws {
      let ended = try await Running(
        [Program.tornlog] + arguments, environment: ["CI_NODE_INDEX": String?.none, "TORNLOG_SHARD_INDEX": nil]
      ).end()
      #expect(ended.code == 64, "\(ended)")
      #expect(ended.err.contains(message), "\(ended)")
      #expect(ended.out == "")
    }

    @Test(arguments: [
      ["run", "-k", "messages=77"], ["list", "-k", "messages=77"], ["run", "-k", "messages<1"],
      ["run", "--last-failed", "-k", "messages=77"],
    ])
    func nothingSelectedEndsWith3(arguments: [String]) async throws {
      let ended = try await Running([Program.tornlog] + arguments).end()
      #expect(ended.code == 3, "\(ended)")
      #expect(ended.err.contains("nothing selected"))
    }

    @Test(arguments: [
      ("name: a\ntitle: b\nmatrix: [1", "bad.yaml:4:1:", "not YAML"),
      (
        "name: a\ntitle: b\nmatrix:\n  mesages: [10]\n", "bad.yaml:4:3:",
        "unknown key 'mesages' in matrix; did you mean 'messages'?"
      ),
      ("name: a\ntitle: b\nmatrix:\n  messages: []\n", "bad.yaml:4:", "gives no trial"),
      ("name: a\ntitle: b\nmatrix:\n  messages: [10]\nexclude:\n  - { messages: 10 }\n", "bad.yaml:", "gives no trial"),
      ("name: a\ntitle: b\nmatrix:\n  messages: twelve\n", "bad.yaml:4:13:", "expected a whole number"),
      ("name: a\ntitle: b\nmatrix: 7\n", "bad.yaml:3:9:", "matrix is"),
      ("", "bad.yaml:", "empty"),
      (
        "name: a\ntitle: b\nworkload: { message-size: 1MB }\nmatrix:\n  messages: [10]\n  batch: [1, 17]\n",
        "bad.yaml:3:27:", "a batch of 17 messages of 1000000 bytes has 17000208 bytes"
      ),
    ])
    func invalidScenariosEndWith65(text: String, place: String, message: String) async throws {
      let scratch = try Scratch()
      let file = try scratch.write("bad.yaml", text)
      for command in ["run", "check"] {
        let ended = try await tornlog(command, file)
        #expect(ended.code == 65, "\(ended)")
        // The mistakes are the result of `check`.
        let said = command == "check" ? ended.out : ended.err
        #expect(said.contains(place) && said.contains(message), "\(ended)")
        #expect((command == "check" ? ended.err : ended.out) == "")
      }
    }

    @Test func `what is no file is no scenario`() async throws {
      let ended = try await tornlog("run", "/dev/null")
      #expect(ended.code == 65 && ended.err.contains("/dev/null"), "\(ended)")
    }

    /// The command line is wrong then, and no scenario.
    @Test(arguments: [["run"], ["list"], ["check"], ["explore"], ["defects"]])
    func withoutTheFolderOfScenarios(command: [String]) async throws {
      let scratch = try Scratch()
      let ended = try await Running([Program.tornlog] + command, in: scratch.root).end()
      #expect(ended.code == 64 && ended.out == "", "\(ended)")
      #expect(
        ended.err.contains("there is no Scenarios") && ended.err.contains("name scenario files or folders"), "\(ended)")
      guard command != ["defects"] else { return }
      let named = try await Running([Program.tornlog] + command + ["/nonexistent/a.yaml"]).end()
      #expect(named.code == 64 && named.err.contains("there is no /nonexistent/a.yaml"), "\(named)")
    }

    /// Looked at before the work, with one exit code in every command.
    @Test(arguments: [
      ["run", "--report", "json=PATH"], ["explore", "crashes", "--reference", "--report", "json=PATH"],
      ["defects", "--report", "json=PATH"],
      ["bench", "--report", "json=PATH"], ["tune", "--report", "html=PATH"],
      ["shrink", Cells.token(messages: 100, defect: "C2b"), "--output", "PATH"],
      ["reproduce", Cells.token(), "--trace", "PATH"],
    ])
    func pathsAreCheckedBeforeTheWork(command: [String]) async throws {
      for (path, message) in [
        ("/nonexistent/x", "No such file or directory"), ("/tmp", "Is a directory"), ("/dev/null/x", "Not a directory"),
      ] {
        let ended = try await Running([Program.tornlog] + command.map { $0.replacing("PATH", with: path) }).end(
          within: 20)
        #expect(ended.code == 64 && ended.out == "", "\(path): \(ended)")
        #expect(ended.err.contains("cannot write \(path)") && ended.err.contains(message), "\(path): \(ended)")
      }
    }

    @Test func `defects that were named are listed`() async throws {
      let ended = try await tornlog("defects", "--only", "C2b,P2", "--list")
      #expect(
        ended.code == 0 && ended.out.contains("C2b") && ended.out.contains("P2") && !ended.out.contains("A9"),
        "\(ended)")
    }

    /// Titles, values and names of a scenario, and names of its file, never steer the terminal.
    @Test func `hostile scenarios`() async throws {
      let scratch = try Scratch()
      let steering = "\\e]0;pwned\\a\\e[2J\\u202E"
      func isCalm(_ ended: Ended) -> Bool {
        (ended.out + ended.err).unicodeScalars.allSatisfy {
          ($0.value >= 0x20 || $0 == "\n" || $0 == "\t") && !(0x200E...0x206F).contains($0.value) && $0.value != 0x9B
        }
      }
      let titled = try scratch.write(
        "a\u{1B}[2J\u{202E}.yaml", "name: a\ntitle: \"\(steering)\"\nmatrix: { messages: [10] }\n")
      for command in ["list", "check", "run"] {
        let ended = try await tornlog(command, titled)
        #expect(ended.code == 0 && isCalm(ended), "\(ended)")
      }
      let broken = try scratch.write(
        "b.yaml", "name: a\ntitle: b\nmatrix: { messages: [\"\(steering)\"], \"\(steering)\": [1] }\n")
      for command in ["list", "check", "run"] {
        let ended = try await tornlog(command, broken)
        #expect(
          ended.code == 65 && isCalm(ended) && (ended.out + ended.err).contains("\\u001b]0;pwned\\u0007"), "\(ended)")
      }
      for ended in [
        try await tornlog("run", "-k", "a\u{1B}[2J=1"), try await tornlog("run", "/nonexistent/\u{1B}[2J"),
        try await tornlog("reproduce", "t1.\u{1B}[2J"), try await tornlog("explore", "--client", "\u{202E}x"),
        try await tornlog("explore", "crashes", "--defect", "\u{1B}[2J"),
        try await tornlog("bench", "--only", "\u{1B}x"), try await tornlog("\u{1B}[2J"),
      ] { #expect(ended.code == 64 && isCalm(ended), "\(ended)") }
    }

    @Test func `many mistakes are counted`() async throws {
      let scratch = try Scratch()
      let keys = (0..<2000).map { "key\($0): 1\n" }.joined()
      let file = try scratch.write("a.yaml", "name: a\ntitle: b\nmatrix: { messages: [10] }\n" + keys)
      let run = try await tornlog("run", file)
      #expect(
        run.code == 65 && run.err.contains("2000 mistakes in scenarios")
          && run.err.contains("... and 1980 more mistakes"), "\(run.err.count)")
      #expect(run.err.utf8.count < 10_000)
      let check = try await tornlog("check", file)
      #expect(check.code == 65 && check.out.split(separator: "\n").count == 21)
    }

    @Test func `help and version are results`() async throws {
      for flag in ["--help", "--version"] {
        let ended = try await tornlog(flag)
        #expect(ended.code == 0 && ended.err == "" && ended.out.contains("tornlog"), "\(ended)")
      }
    }

    @Test func `the scenarios of the repository are valid`() async throws {
      let ended = try await tornlog("check")
      #expect(ended.code == 0 && ended.err == "", "\(ended)")
      #expect(ended.out.contains("ok  Scenarios/chronik/ten-vs-hundred.yaml: ten-vs-hundred, "))
    }
  }
}
