import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Patience } from "../../src/cli/server/patiently.ts"
import { exitCode } from "../../src/cli/terminal/failure.ts"
import { programVersion } from "../../src/schema/program-version.ts"
import { agent, directory, person, planWith, serve, sha256, succeeded, userToken, worker } from "../server/live-server.ts"
import { temporaryFolder } from "../temporary-folder.ts"
import { ran, typed } from "./typed.ts"

const nobody = "http://127.0.0.1:1"
const workspaceNames = "it must be letters, digits, '-' or '_', beginning with a letter or digit"
const namespaces = "it must be a namespace: up to 63 lowercase letters, digits or '-'"

describe("what is typed wrong", () => {
  it.effect.each<{ args: ReadonlyArray<string>; said: string }>([
    { args: ["cancl"], said: "error: There is no command \"cancl\"; did you mean \"cancel\"?\nSee: agent-job --help" },
    { args: ["frobnicate"], said: "error: There is no command \"frobnicate\"\nSee: agent-job --help" },
    { args: ["plan", "."], said: "error: There is no command \"plan\"; agent-job run DIR plans, asks and applies\nSee: agent-job --help" },
    {
      args: ["destroy"],
      said: "error: There is no command \"destroy\"; agent-job run DIR --destroy plans, asks and applies\nSee: agent-job --help"
    },
    { args: ["run"], said: "error: DIR is missing\nSee: agent-job run --help" },
    {
      args: ["run", ".", "--auto-aprove"],
      said: "error: There is no flag --auto-aprove; did you mean \"--auto-approve\"?\nSee: agent-job run --help"
    },
    { args: ["run", ".", "-var", "a=b", "--auto-approve"], said: "error: There is no flag -var; did you mean --var?" },
    { args: ["state", "show", "demo", "-json"], said: "error: There is no flag -json; agent-job state show --help lists those there are." },
    { args: ["-version"], said: "error: There is no flag -version; did you mean --version?" },
    { args: ["run", ".", "--version"], said: "error: --version is no flag of agent-job run; agent-job --version prints the version." },
    { args: ["run", ".", "--var", "s3cret"], said: "error: A --var has no \"=\"; give it as key=value, such as --var region=eu-west-1." },
    {
      args: ["run", ".", "--var", "a=b", "--var", "db password=s3cret"],
      said:
        "error: \"db password\" cannot be the name of a variable; use letters, digits, \"-\" and \"_\", beginning with a letter or \"_\"."
    },
    { args: ["run", ".", "--var"], said: "error: --var needs a value (key=value)\nSee: agent-job run --help" },
    {
      args: ["run", ".", "password=s3cret"],
      said: "error: One argument is too many; a value with blanks needs quotes, as in --var 'name=a b'\nSee: agent-job run --help"
    },
    { args: ["TOKEN=s3cret", "run", "."], said: "error: There is no command \"TOKEN=…\"\nSee: agent-job --help" },
    {
      args: ["run", ".", "-o", "xml"],
      said: "error: --output cannot be \"xml\": it must be \"text\", \"json\" or \"yaml\"\nSee: agent-job run --help"
    },
    {
      args: ["run", ".", "--var", "password=correct", "horse"],
      said: "error: One argument is too many; a value with blanks needs quotes, as in --var 'name=a b'\nSee: agent-job run --help"
    },
    {
      args: ["run", "a", "b", "c"],
      said: "error: 2 arguments are too many; a value with blanks needs quotes, as in --var 'name=a b'\nSee: agent-job run --help"
    },
    {
      args: ["render", "ok.yaml"],
      said: "error: \"ok.yaml\" is one argument too many; did you mean -f ok.yaml?\nSee: agent-job render --help"
    },
    {
      args: ["config", "validate", "a.yaml", "b.yml"],
      said:
        "error: \"a.yaml\" and \"b.yml\" are 2 arguments too many; did you mean -f a.yaml -f b.yml?\nSee: agent-job config validate --help"
    },
    { args: ["render", "ok"], said: "error: \"ok\" is one argument too many\nSee: agent-job render --help" },
    {
      args: ["run", ".", "--plan-only", "--auto-approve"],
      said: "error: --plan-only and --auto-approve exclude each other; give one of them."
    },
    {
      args: ["run", ".", "--plan-only", "--allow-empty-apply"],
      said: "error: --plan-only and --allow-empty-apply exclude each other; give one of them."
    },
    {
      args: ["run", ".", "--detailed-exitcode"],
      said: "error: --detailed-exitcode tells what a plan comes to; give --plan-only too."
    },
    {
      args: ["run", ".", "--url", "localhost:8080"],
      said: "error: \"localhost:8080\" is not the address of a server; write it like http://127.0.0.1:8080."
    },
    {
      args: ["get", "runs", "--url", "http://127.0.0.1:1?token=hunter2"],
      said: "error: The address of the server has a \"?\" or \"#\" in it; leave that out, with all behind it: http://127.0.0.1:8080 is one."
    },
    {
      args: ["get", "runs", "--url", "server?token=hunter2"],
      said: "error: The address of the server has a \"?\" or \"#\" in it; leave that out, with all behind it: http://127.0.0.1:8080 is one."
    },
    {
      args: ["run", "."],
      said:
        "error: No server is named; set AGENT_JOB_URL or --url, such as http://127.0.0.1:8080 (after `make run`: eval \"$(make -s env)\")."
    },
    {
      args: ["run", ".", "--url", nobody, "--workspace", "a b"],
      said: `error: --workspace cannot be "a b": ${workspaceNames}\nSee: agent-job run --help`
    },
    {
      args: ["run", "README.md", "--url", nobody],
      said: "error: README.md is not a directory; name the one that has the configuration."
    },
    {
      args: ["run", "nope.tf", "--url", nobody],
      said: "error: There is no directory nope.tf; name the one that has the configuration."
    },
    {
      args: ["run", "/", "--url", nobody],
      said: "error: The name of the directory, \"\", cannot be the name of a workspace; give one with --workspace."
    },
    {
      args: ["run", ".", "--url", nobody, "--token-file", "/nope"],
      said: "error: Cannot read the token file /nope; check its name and that you may read it."
    },
    {
      args: ["get", "runs", "--url", nobody, "--token-file", "/dev/null/nope"],
      said: "error: Cannot read the token file /dev/null/nope; check its name and that you may read it."
    },
    { args: ["run", "nope", "--url", nobody], said: "error: There is no directory nope; name the one that has the configuration." },
    {
      args: ["run", "docs", "--url", nobody],
      said: "error: There is no configuration in docs: no file there ends in .tf or .tofu; name the directory that has them."
    },
    {
      args: ["get", "Rubbish!"],
      said:
        "error: \"Rubbish!\" is neither \"runs\", \"workspaces\", \"pools\", \"tasks\", \"audit\", a run's id nor the name of an AgentTask."
    },
    {
      args: ["get", "audit", "demo", "-w", "demo", "--url", nobody],
      said: "error: Give either a name or --workspace, not both."
    },
    { args: ["get", "runs", "demo", "-w", "demo", "--url", nobody], said: "error: Give either a name or --workspace, not both." },
    {
      args: ["get", "pools", "demo", "--url", nobody],
      said: "error: A second name works only with: agent-job get runs|workspaces|tasks|audit"
    },
    {
      args: ["get", "run-a1", "--before", "7", "--url", nobody],
      said: "error: --before works only with: agent-job get runs|audit"
    },
    {
      args: ["get", "run", "run-a1", "--before", "run-a2", "--url", nobody],
      said: "error: --before works only with: agent-job get runs|audit"
    },
    ...[["runs", "7"], ["audit", "run-a1"]].map(([list = "", before = ""]) => ({
      args: ["get", list, "--before", before, "--url", nobody],
      said: "error: --before is a run's id with agent-job get runs, and the number of an entry with agent-job get audit."
    })),
    ...["audit", "runs"].map((list) => ({
      args: ["get", list, "Rubbish!", "--url", nobody],
      said: "error: \"Rubbish!\" is neither the name of a workspace nor a run's id."
    })),
    { args: ["get", "workspace", "a b", "--url", nobody], said: "error: \"a b\" cannot be the name of a workspace." },
    { args: ["get", "task", "Rubbish!"], said: "error: \"Rubbish!\" cannot be the name of an AgentTask." },
    { args: ["get", "task", "-w", "demo"], said: "error: --workspace works only with: agent-job get runs|audit" },
    {
      args: ["get", "run-a1", "-w", "demo", "--url", nobody],
      said: "error: --workspace works only with: agent-job get runs|audit"
    },
    ...["get", "logs"].map((command) => ({
      args: [command, "--workspace", "a b"],
      said: `error: --workspace cannot be "a b": ${workspaceNames}\nSee: agent-job ${command} --help`
    })),
    ...[
      ["vars", "list"],
      ["vars", "set"],
      ["vars", "delete"],
      ["state", "show"],
      ["state", "push"],
      ["state", "rescue"],
      ["state", "unlock"],
      ["pool", "bind"],
      ["pool", "unbind"]
    ].flatMap((command) => [
      {
        args: [...command, "a b", ...(["set", "delete", "push", "bind"].includes(command[1] ?? "") ? ["x"] : [])],
        said: `error: WORKSPACE cannot be "a b": ${workspaceNames}\nSee: agent-job ${command.join(" ")} --help`
      }
    ]),
    {
      args: ["vars", "list", ""],
      said: `error: WORKSPACE needs a value (${workspaceNames})\nSee: agent-job vars list --help`
    },
    {
      args: ["get", "runs", "-w", "a".repeat(91)],
      said: `error: --workspace cannot be "${"a".repeat(91)}": it must be a value with a length of at most 90\nSee: agent-job get --help`
    },
    ...[["get", "tasks"], ["logs", "a-task"], ["cancel", "a-task"], ["drain"], ["render"], ["doctor"]].flatMap((args) => [
      {
        args: [...args, "-n", "A B"],
        said: `error: --namespace cannot be "A B": ${namespaces}\nSee: agent-job ${args[0]} --help`
      },
      { args: [...args, "-n", ""], said: `error: --namespace needs a value (${namespaces})\nSee: agent-job ${args[0]} --help` }
    ]),
    {
      args: ["drain", "--controller-namespace", "A B"],
      said: `error: --controller-namespace cannot be "A B": ${namespaces}\nSee: agent-job drain --help`
    },
    { args: ["logs", "Rubbish!"], said: "error: \"Rubbish!\" is neither a run's id nor the name of an AgentTask." },
    {
      args: ["logs", "a-task", "--stage", "plan"],
      said: "error: --stage and --workspace are for runs; an AgentTask is one stage already."
    },
    {
      args: ["logs", "run-a1", "-w", "demo", "--url", nobody],
      said: "error: Give either a run or --workspace, which means the newest run of a workspace."
    },
    { args: ["cancel"], said: "error: RUN|TASK is missing\nSee: agent-job cancel --help" },
    {
      args: ["cancel", "a-task", "--force"],
      said: "error: --force ends a run whose AgentTask is gone; a-task is an AgentTask, which ends in order when it is cancelled."
    },
    ...[["get", "runs"], ["get", "run-a1"], ["logs"], ["logs", "run-a1"], ["cancel", "run-a1"]].flatMap((args) =>
      [["--context", "other"], ["-n", "other"]].map((where) => ({
        args: [...args, ...where],
        said:
          "error: --context and --namespace say where AgentTasks are, and this is asked of the server, which --url or AGENT_JOB_URL names; leave them out."
      }))
    ),
    ...[["get", "tasks"], ["get", "a-task"], ["logs", "a-task"], ["cancel", "a-task"]].flatMap((args) =>
      [["--url", nobody], ["--token-file", "/nope"]].map((where) => ({
        args: [...args, ...where],
        said:
          "error: --url and --token-file say where the server is, and this is asked of the cluster, which --context or KUBECONFIG names; leave them out."
      }))
    ),
    { args: ["cancel", "Rubbish!"], said: "error: \"Rubbish!\" is neither a run's id nor the name of an AgentTask." },
    { args: ["approve", "a-task", "--url", nobody], said: "error: \"a-task\" is not the id of a run; `agent-job get runs` lists them." },
    {
      args: ["state", "rescue", "demo", "--keep", "--use", "ev-1"],
      said: "error: --use, --keep, --file, --import and --import-blocks exclude each other; give one of them."
    },
    {
      args: ["state", "unlock", "demo"],
      said:
        "error: Who holds the lock may still write; look with `agent-job state show demo`, and say --force --lock LOCK when its holder is surely gone."
    },
    { args: ["state", "show"], said: "error: WORKSPACE is missing\nSee: agent-job state show --help" },
    {
      args: ["vars", "set", "demo", "9x"],
      said: "error: \"9x\" cannot be the name of a variable; use letters, digits, \"-\" and \"_\", beginning with a letter or \"_\"."
    },
    {
      args: ["vars", "set", "demo", "PASSWORD=s3cret"],
      said:
        "error: \"PASSWORD=…\" cannot be the name of a variable; give the name alone, and the value on standard input or with --from-file."
    },
    {
      args: ["vars", "set", "demo", "PASSWORD", "s3cret"],
      said: "error: One argument is too many; a value comes from standard input or --from-file\nSee: agent-job vars set --help"
    },
    {
      args: ["vars", "set", "demo", "PASSWORD", "=", "s3cret"],
      said: "error: 2 arguments are too many; a value comes from standard input or --from-file\nSee: agent-job vars set --help"
    },
    {
      args: ["vars", "set", "demo", "a-b", "--env"],
      said: "error: The environment variable \"a-b\" cannot be set; use only letters, digits and underscores in its name."
    },
    {
      args: ["vars", "set", "demo", "UID", "--env"],
      said: "error: The environment variable UID belongs to the runner's shell; choose another name."
    },
    {
      args: ["vars", "set", "demo", "region", "--from-file", "/nope"],
      said:
        "error: The value of region cannot be read from /nope (no such file or directory); name a file that you may read, or pipe the value into this command."
    },
    {
      args: ["render", "--name", "Blue"],
      said: "error: --name cannot be \"Blue\": it must be a lowercase DNS name\nSee: agent-job render --help"
    },
    {
      args: ["overlay", "--name", "team-alpha-production-environment-europe-1", "--out", "mine"],
      said:
        "error: --name cannot be \"team-alpha-production-environment-europe-1\": it must be at most 40 characters, since no name of its objects has more of it; for an installation that has a longer one, give the first 40\nSee: agent-job overlay --help"
    },
    { args: ["render", "--name", ""], said: "error: --name needs a value (it must be a lowercase DNS name)\nSee: agent-job render --help" },
    {
      args: ["render", "--name", "a", "--name", "b"],
      said: "error: --name is given more than once; give it once\nSee: agent-job render --help"
    },
    {
      args: ["render", "--values", ""],
      said:
        "error: --values needs a value (it must be a path; an empty one would be the directory this runs in)\nSee: agent-job render --help"
    },
    { args: ["overlay"], said: "error: --out is missing\nSee: agent-job overlay --help" },
    { args: ["migrate", "--out", "x"], said: "error: --release is missing\nSee: agent-job migrate --help" },
    {
      args: ["server", "--data-dir", "", "--user-token-file", "u", "--pool-token-file", "p"],
      said:
        "error: --data-dir needs a value (it must be a path; an empty one would be the directory this runs in)\nSee: agent-job server --help"
    },
    {
      args: ["server", "--data-dir", "d", "--user-token-file", "u", "--pool-token-file", "p", "--address", ""],
      said:
        "error: --address needs a value (it must be an address of this machine; without the flag, the server listens at every one)\nSee: agent-job server --help"
    },
    { args: ["server"], said: "error: --data-dir is missing\nSee: agent-job server --help" },
    {
      args: ["server", "--data-dir", "d", "--user-token-file", "u", "--pool-token-file", "p", "--port", "99999"],
      said: "error: --port cannot be \"99999\": it must be a port, 0 to 65535\nSee: agent-job server --help"
    },
    {
      args: ["server", "--data-dir", "d", "--user-token-file", "u", "--pool-token-file", "p", "--public-url", "foo"],
      said: "error: \"foo\" is not the address of a server; write it like http://127.0.0.1:8080."
    },
    {
      args: ["server", "--data-dir", "d", "--user-token-file", "u", "--pool-token-file", "p", "--tls-cert-file", "tls.crt"],
      said:
        "error: Of --tls-cert-file (AGENT_JOB_TLS_CERT_FILE) and --tls-private-key-file (AGENT_JOB_TLS_PRIVATE_KEY_FILE) only one is given; give both, or neither for plain HTTP."
    },
    {
      args: ["controller", "--values", "v.yaml", "--health-port", "x"],
      said: "error: --health-port cannot be \"x\": it must be a port, 0 to 65535\nSee: agent-job controller --help"
    },
    ...["abc", "80.5", "1e3", "0x50", " 80", "-1"].map((port) => ({
      args: ["server", "--data-dir", "d", "--user-token-file", "u", "--pool-token-file", "p", "--port", port],
      said: `error: --port cannot be "${port}": it must be a port, 0 to 65535\nSee: agent-job server --help`
    })),
    ...["x", "-1", "1.5"].map((days) => ({
      args: ["server", "--data-dir", "d", "--user-token-file", "u", "--pool-token-file", "p", "--keep-days", days],
      said: `error: --keep-days cannot be "${days}": it must be a whole number, 0 or more\nSee: agent-job server --help`
    })),
    ...["x", "-1", "0", "1.5", "9999999999999999"].map((before) => ({
      args: ["get", "audit", "--before", before, "--url", nobody],
      said: `error: --before cannot be "${before}": it must be the number of an entry, 1 or more, or a run's id\nSee: agent-job get --help`
    }))
  ])("$args is told in a sentence, with exit code 2", ({ args, said }) =>
    Effect.gen(function*() {
      const answer = yield* typed({}, ...args)
      expect([answer.said, answer.code, answer.out]).toEqual([said, 2, ""])
    }))
})

describe("an approval", () => {
  it.live("names the seal that was shown, and is none of another plan", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      const id = yield* person(url).start("demo")
      yield* planWith(url)
      const approve = (...seal: ReadonlyArray<string>) => typed({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, "approve", id, ...seal)
      expect(yield* approve("--seal", "me")).toMatchObject({
        code: 2,
        said: "error: \"me\" is not the beginning of a seal; give the 12 characters or more that were shown with the plan."
      })
      expect(yield* approve("--seal", "0123456789ab")).toMatchObject({
        code: 1,
        said: `error: ${id} has the plan with the seal ${
          sha256("the plan")
        }, which does not begin with 0123456789ab; look at it again: agent-job logs ${id}`
      })
      expect((yield* person(url).view(id)).status).toBe("planned")
      const shown = sha256("the plan").slice(0, 12)
      expect(yield* approve("--seal", shown)).toMatchObject({ code: 0, said: "" })
      expect((yield* person(url).view(id)).approval?.seal).toBe(sha256("the plan"))
      expect(yield* ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, "approve", id)).toMatchObject({
        code: 0,
        out: expect.stringContaining(`${id} was approved already with the seal ${shown} and applies its plan; `)
      })
      yield* worker(url, yield* agent(url).take).result(succeeded())
      expect(yield* approve()).toMatchObject({
        code: 1,
        said: `error: ${id} is applied already, so there is nothing to approve; see what came of it with: agent-job get ${id}`
      })
      expect(yield* ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, "approve", id, "--seal", shown)).toMatchObject({
        code: 0,
        out: expect.stringContaining(`${id} was approved already with the seal ${shown} and is applied; `)
      })
    }))

  it.live("is of no plan that nobody can have seen: it may be there before the server is asked", () =>
    Effect.gen(function*() {
      const url = yield* Effect.flatMap(directory, serve)
      const id = yield* person(url).start("demo")
      const said = `error: ${id} is pending, so there is no plan to approve yet; look at it once it is there: agent-job logs -f ${id}`
      for (const seal of [[], ["--seal", "0123456789ab"]]) {
        expect(yield* typed({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, "approve", id, ...seal)).toMatchObject({ code: 1, said })
      }
    }))
})

describe("an address with a password", () => {
  it.effect.each([
    "https://me:hunter2@server",
    "https://hunter2@server",
    "ftp://me:hunter2@server",
    "me:hunter2@server",
    "//me:hunter2@server"
  ])(
    "is refused, and not shown: %s",
    (url) =>
      Effect.map(Effect.all([typed({ AGENT_JOB_URL: url }, "get", "runs"), typed({}, "get", "runs", "--url", url)]), (answers) => {
        for (const answer of answers) {
          expect(answer).toEqual({
            code: 2,
            out: "",
            said:
              "error: The address of the server has a user or a password in it; leave them out: a token is given by itself, as --help says."
          })
        }
      })
  )
})

describe("a token that no header can carry", () => {
  it.effect("is told by where it is from, and not shown", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryFolder("token")
      const file = join(directory, "token")
      writeFileSync(file, "hun\u0007ter2\n")
      const says = "has a line break or another character that no token can have; let it have the token alone."
      expect(yield* typed({ AGENT_JOB_URL: nobody, AGENT_JOB_TOKEN: "hun\nter2" }, "get", "runs")).toEqual({
        code: 2,
        out: "",
        said: `error: AGENT_JOB_TOKEN ${says}`
      })
      expect(yield* typed({ AGENT_JOB_URL: nobody }, "get", "runs", "--token-file", file)).toEqual({
        code: 2,
        out: "",
        said: `error: The token file ${file} ${says}`
      })
    }))
})

describe("an empty token", () => {
  it.live("is none: the file is named, and a variable that is empty counts as not set", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const file = join(made, "token")
      writeFileSync(file, "\n")
      expect(yield* typed({ AGENT_JOB_URL: nobody, AGENT_JOB_TOKEN: userToken }, "run", "examples/quickstart", "--token-file", file))
        .toEqual({
          code: 2,
          out: "",
          said: `error: The token file ${file} has no token in clear; put the user token into it.`
        })
      const url = yield* serve(made)
      expect(yield* typed({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: "" }, "get", "runs")).toMatchObject({
        code: 5,
        said: `error: The agent-job server at ${url} wants a token and none was given; set AGENT_JOB_TOKEN or --token-file.`
      })
    }))
})

describe("an unreachable", () => {
  it.effect("server is exit code 4, whatever is asked of it", () =>
    Effect.gen(function*() {
      for (
        const args of [
          ["run", "examples/quickstart"],
          ["get", "runs"],
          ["get", "workspaces"],
          ["get", "run-a1"],
          ["get", "run", "run-a1"],
          ["get", "runs", "demo"],
          ["get", "workspace", "demo"],
          ["logs", "run-a1"],
          ["cancel", "run-a1"],
          ["approve", "run-a1"],
          ["discard", "run-a1"],
          ["vars", "list", "demo"],
          ["vars", "delete", "demo", "x"],
          ["state", "show", "demo"],
          ["state", "rescue", "demo", "--keep"],
          ["state", "unlock", "demo", "--force"]
        ]
      ) {
        const answer = yield* typed({ AGENT_JOB_URL: nobody }, ...args).pipe(
          Effect.provideService(Patience, { every: Duration.zero, times: 0 })
        )
        expect([args.join(" "), answer.code, answer.said]).toEqual([
          args.join(" "),
          4,
          `error: No usable answer from the agent-job server at ${nobody} (connection refused); check that it runs and that AGENT_JOB_URL or --url is right.`
        ])
      }
    }))

  it.live("cluster is exit code 4; a kubeconfig or context that cannot be used is 2", () =>
    Effect.gen(function*() {
      const directory = mkdtempSync(join(tmpdir(), "kubeconfig-"))
      const kubeconfig = join(directory, "config")
      writeFileSync(
        kubeconfig,
        JSON.stringify({
          apiVersion: "v1",
          kind: "Config",
          "current-context": "here",
          clusters: [{ name: "c", cluster: { server: "https://127.0.0.1:1" } }],
          users: [{ name: "u", user: { token: "t" } }],
          contexts: [{ name: "here", context: { cluster: "c", user: "u" } }]
        })
      )
      for (const args of [["get", "tasks"], ["get", "a-task"], ["get", "task", "a-task"], ["logs", "a-task"], ["cancel", "a-task"]]) {
        const answer = yield* typed({ KUBECONFIG: kubeconfig }, ...args)
        expect([answer.code, answer.said]).toEqual([
          4,
          expect.stringMatching(
            /^error: Cannot (?:get AgentTask \S+|list AgentTask objects in \S+): the API server gave no usable answer \(https:\/\/127\.0\.0\.1:1: connection refused\); check that the cluster is up and reachable\.$/u
          )
        ])
      }
      const none = yield* typed({ KUBECONFIG: join(directory, "nope") }, "get", "tasks")
      expect([none.code, none.said]).toEqual([
        2,
        `error: No kubeconfig can be read at ${join(directory, "nope")}; name one that is there with KUBECONFIG.`
      ])
      const other = yield* typed({ KUBECONFIG: kubeconfig }, "get", "tasks", "--context", "there")
      expect([other.code, other.said]).toEqual([2, "error: The kubeconfig has no context there (it has: here); name one of them."])
      rmSync(directory, { recursive: true })
    }))
})

describe("help", () => {
  it.effect("of the program begins with what it is and the first command to type", () =>
    Effect.gen(function*() {
      const { code, out, said } = yield* typed({})
      expect([code, said]).toEqual([0, ""])
      expect(out.split("\n").slice(0, 4)).toEqual([
        "DESCRIPTION",
        "  agent-job runs every stage of OpenTofu and Terraform (plan, apply, destroy) as a Kubernetes Job of its own, in a cluster that you own.",
        "  You give it a directory; it plans that in the cluster, shows you what would change, and applies exactly that plan once you say yes.",
        "  Start with:  agent-job run DIR --workspace NAME"
      ])
      const headings = out.split("\n").filter((line) => /^[A-Z][A-Z' ]+:?$/u.test(line))
      expect(headings).toEqual([
        "DESCRIPTION",
        "USAGE",
        "RUNS:",
        "INSTALLATION:",
        "INSIDE A TASK'S POD:",
        "EXAMPLES",
        "OTHER FLAGS"
      ])
      expect(out).toMatch(/^ {2}--completions bash\|zsh\|fish\|/mu)
      expect(out).toMatch(/^ {2}--version, -v {2,}Show/mu)
      expect(out).toContain(
        "Exit codes: 0 success, 1 the run failed, 2 bad input, 3 nothing there, 4 server or cluster unreachable, 5 token refused, 6 cancelled or discarded, 7 a plan with changes."
      )
    }))
  it.effect("of a command shows its own flags only", () =>
    Effect.gen(function*() {
      const { out } = yield* typed({}, "run", "--help")
      expect(out).toContain("agent-job run [flags] <DIR>")
      expect(out).not.toContain("--completions")
    }))
  it.effect.each([
    { command: "vars", names: ["list", "set", "delete"] },
    { command: "state", names: ["show", "push", "rescue", "unlock"] }
  ])("of $command names each subcommand on a line of its own", ({ command, names }) =>
    Effect.gen(function*() {
      const lines = (yield* typed({}, command, "--help")).out.split("\n")
      const rows = lines.slice(lines.indexOf("SUBCOMMANDS") + 1)
      expect(rows.map((row) => /^ {2}(\S+) {2,}\S/u.exec(row)?.[1])).toEqual(names)
    }))
  it.effect.each([
    { command: "render", line: /^ {2}--output, -o yaml\|json .*\bby default\b/u },
    { command: "run", line: /^ {2}--output, -o text\|json\|yaml .*; text by default\.$/u },
    { command: "version", line: /^ {2}--output, -o table\|json\|yaml .*; table by default\.$/u },
    { command: "render", line: /^ {2}--name NAME .*; agent-job by default\.$/u },
    { command: "server", line: /^ {2}--port PORT .*; 8080 by default\.$/u },
    { command: "server", line: /^ {2}--keep-days NUMBER .* 30 by default\.$/u },
    { command: "server", line: /^ {2}--keep-runs NUMBER .* 20 by default\.$/u },
    { command: "controller", line: /^ {2}--health-port PORT .*; 8081 by default\.$/u },
    { command: "controller", line: /^ {2}--namespace, -n NAME .*; agent-job by default\.$/u },
    { command: "controller", line: /^ {2}--pool-token-file FILE .*\/token by default\.$/u }
  ])("of $command says what a value is, and the one without the flag: $line", ({ command, line }) =>
    Effect.gen(function*() {
      expect((yield* typed({}, command, "--help")).out.split("\n")).toContainEqual(expect.stringMatching(line))
    }))
})

describe("the help of every command", () => {
  const helpOf = (path: ReadonlyArray<string>) => Effect.map(typed({}, ...path, "--help"), ({ out }) => ({ command: path.join(" "), out }))
  const below = (out: string) => [...out.matchAll(/^ {2}([a-z]+) {2,}\S/gmu)].map(([, name = ""]) => name)
  const all = Effect.gen(function*() {
    const commands = yield* Effect.forEach(below((yield* helpOf([])).out), (name) => helpOf([name]))
    const groups = commands.filter(({ out }) => out.includes("SUBCOMMANDS"))
    const paths = groups.flatMap(({ command, out }) => below(out).map((name) => [command, name]))
    return [...commands, ...yield* Effect.forEach(paths, helpOf)]
  })
  const flagsIn = (out: string) => [...out.matchAll(/^ {2}--([a-z-]+)/gmu)].map(([, name = ""]) => name)

  it.effect("has its own flags first, then how to print, then where the server is, then where the cluster is", () =>
    Effect.gen(function*() {
      for (const { command, out } of yield* all) {
        const flags = flagsIn(out)
        const last = ["output", "no-color", ...(flags.includes("token-file") ? ["url", "token-file"] : []), "context"]
        const shared = last.filter((name) => flags.includes(name))
        // After --context is only the namespace in that cluster, where it does not say which installation is meant.
        const told = flags.at(-2) === "context" ? flags.filter((name) => name !== "namespace") : flags
        expect([command, shared.length === 0 ? [] : told.slice(-shared.length)]).toEqual([command, shared])
      }
    }))

  it.effect("names its arguments in capitals", () =>
    Effect.gen(function*() {
      for (const { command, out } of yield* all) {
        const usage = /^USAGE\n(.*)$/mu.exec(out)?.[1] ?? ""
        expect([command, usage.replace("<subcommand>", "").match(/<[^>]*[a-z][^>]*>/gu)]).toEqual([command, null])
      }
    }))

  it.effect("has an example where it is for people and takes an argument", () =>
    Effect.gen(function*() {
      const without = (yield* all).filter(({ out }) => out.includes("ARGUMENTS") && !out.includes("EXAMPLES"))
      expect(without.map(({ command }) => command)).toEqual(["install"])
    }))
})

describe("docs/cli.md", () => {
  const text = readFileSync("docs/cli.md", "utf8")
  it("has every exit code", () => {
    const documented = [...text.matchAll(/^\| (\d+) \|/gmu)].map(([, code]) => Number(code))
    expect(documented).toEqual(expect.arrayContaining([0, ...Object.values(exitCode)]))
  })
  it.effect("has every command", () =>
    Effect.gen(function*() {
      const { out } = yield* typed({})
      const commands = [...out.matchAll(/^ {2}([a-z]+) {2,}\S/gmu)].map(([, name]) => name ?? "").filter((name) => name !== "agent")
      expect(commands).toEqual(
        expect.arrayContaining(["run", "get", "logs", "approve", "discard", "cancel", "render", "server", "controller"])
      )
      expect(commands.filter((name) => !new RegExp(`\`(?:agent-job )?${name}\\b`, "u").test(text))).toEqual([])
    }))
})

describe("the version", () => {
  it.effect.each(["--version", "-v"])("is short with %s", (flag) =>
    Effect.gen(function*() {
      expect(yield* typed({}, flag)).toEqual({ code: 0, said: "", out: `agent-job ${programVersion}` })
    }))
})
