import Testing

extension CommandLineTests {
  /// What the user typed is wrong: said at once, with its exit code, and nothing is touched.
  @Suite struct Usage {
    @Test(arguments: [
      (["run", "--bogus"], "Unknown option '--bogus'"),
      (["run", "--storage", "disk"], "--storage disk: auto, ring, posix or memory"),
      (["run", "-k", "mesages=10"], "column 1: unknown axis 'mesages'; did you mean 'messages'?"),
      (["run", "-k", "messages=10 and ("], "column 18: expected a term"),
      (["run", "--shard", "3/2"], "'3/2' is no shard"),
      (["run", "--shard", "slice:3/2"], "'slice:3/2' is no shard"),
      (["run", "--shard", "auto:2"], "auto needs CI_NODE_INDEX"),
      (["run", "-t", "quik"], "did you mean 'quick'?"),
      (["run", "--defect", "C2c"], "did you mean 'C2'?"),
      (["run", "--report", "jsn"], "there is no report 'jsn'"),
      (["run", "--report", "json="], "names no path"),
      (["run", "--color", "blue"], "--color blue: auto, always or never"),
      (["run", "--progress", "some"], "--progress some"),
      (["run", "--keep", "all"], "--keep all"),
      (["run", "--jobs", "0"], "--jobs 0"),
      (["run", "--seeds", "0"], "--seeds 0"),
      (["run", "--seeds", "1000000", "--repeat", "1000000"], "lower --seeds"),
      (["run", "--timeout", "soon"], "--timeout soon: a duration like 30s"),
      (["run", "--deadline", "soon"], "--deadline soon"),
      (["run", "--seed", "-1"], "--seed"),
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
        [Program.tornlog] + arguments, environment: ["CI_NODE_INDEX": String?.none]
      ).end()
      #expect(ended.code == 64, "\(ended)")
      #expect(ended.err.contains(message), "\(ended)")
      #expect(ended.out == "")
    }

    @Test(arguments: [["run", "-k", "messages=77"], ["list", "-k", "messages=77"], ["run", "--last-failed"]])
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

    @Test(arguments: ["/nonexistent/a.yaml", "/dev/null"])
    func scenariosThatAreNoFilesEndWith65(path: String) async throws {
      let ended = try await tornlog("run", path)
      #expect(ended.code == 65, "\(ended)")
      #expect(ended.err.contains(path))
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
