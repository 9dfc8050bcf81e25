// What the end of a command means, from what the engine really prints.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { type CommandEnd, commandFailure, errorSummary, plainText, stopMessage } from "../../../src/core/stage/outcome.ts"
import { type StageCommand, stageCommands } from "../../../src/core/stage/stage-commands.ts"
import * as printed from "./engine-output.ts"

const [init, plan, show] = stageCommands({ stage: "plan", keeper: "server", planFile: "/data/engine/plan.tfplan", savedPlan: false })
const apply = stageCommands({ stage: "apply", keeper: "server", planFile: "/data/engine/plan.tfplan", savedPlan: true })[1]
const exited = (code: number): CommandEnd => ({ _tag: "Exited", code })

/** An error as both engines print it with `-json`, between two lines of other types. */
const inJson = (summary: string, detail: string) =>
  [
    { "@level": "info", "@message": "OpenTofu 1.12.6", type: "version", ui: "1.2" },
    { "@level": "error", "@message": `Error: ${summary}`, diagnostic: { severity: "error", summary, detail }, type: "diagnostic" },
    { "@level": "warn", "@message": "Warning: old", diagnostic: { severity: "warning", summary: "old", detail: "" }, type: "diagnostic" }
  ].map((line) => `${JSON.stringify(line)}\n`).join("")

const failureOf = (command: StageCommand | undefined, end: CommandEnd, log = "") =>
  command === undefined ? Option.none() : commandFailure("tofu", command, end, log)

describe("commandFailure", () => {
  it("is nothing for exit code 0, whatever was printed", () =>
    expect(failureOf(plan, exited(0), printed.syntaxError)).toEqual(Option.none()))

  it.each([
    {
      given: "a provider that is not in the mirror",
      command: init,
      end: exited(1),
      log: printed.providerNotInMirror,
      reason: "ProviderMissing",
      says: "the provider hashicorp/random;"
    },
    {
      given: "a version of a provider that nobody has",
      command: init,
      end: exited(1),
      log: printed.providerVersionMissing,
      reason: "ProviderMissing",
      says: "the provider hashicorp/time;"
    },
    {
      given: "a registry that cannot be reached",
      command: init,
      end: exited(1),
      log: printed.registryUnreachable,
      reason: "ProviderMissing",
      says:
        "tofu init could not download the provider hashicorp/random (connection refused); nothing was changed, so try again later, put the provider in the runner's mirror, or let the Pod reach its registry."
    },
    {
      given: "a registry that has too much to do",
      command: init,
      end: exited(1),
      log: printed.registryBusy,
      reason: "ProviderMissing",
      says: "tofu init could not download the provider hashicorp/random (429 Too Many Requests); nothing was changed"
    },
    {
      given: "a host of modules that has failed",
      command: init,
      end: exited(1),
      log: printed.gitHostFailed,
      reason: "ExitCode",
      says:
        "tofu init failed: Failed to download module (returned error: 503); nothing was changed, so try again later, and look at the log if it stays so."
    },
    {
      given: "a lock file that has no checksum of the package that is there",
      command: init,
      end: exited(1),
      log: printed.lockWithoutChecksum,
      reason: "InvalidConfiguration",
      says: "the provider hashicorp/time: .terraform.lock.hcl has no checksum of the package that it found"
    },
    {
      given: "a lock file of a version that the configuration does not allow",
      command: init,
      end: exited(1),
      log: printed.lockOfAnotherVersion,
      reason: "InvalidConfiguration",
      says: "the provider hashicorp/time: .terraform.lock.hcl has a version that the configuration does not allow; run tofu init -upgrade"
    },
    {
      given: "a syntax error",
      command: init,
      end: exited(1),
      log: printed.syntaxError,
      reason: "InvalidConfiguration",
      says: "Unclosed configuration block"
    },
    {
      given: "a syntax error that Terraform announces by another error",
      command: init,
      end: exited(1),
      log: printed.announcedByTerraform,
      reason: "InvalidConfiguration",
      says: "init failed: Invalid single-argument block definition;"
    },
    {
      given: "a module that is not there",
      command: init,
      end: exited(1),
      log: printed.moduleMissing,
      reason: "InvalidConfiguration",
      says: "Unreadable module directory"
    },
    {
      given: "a plan with an argument that does not exist",
      command: plan,
      end: exited(1),
      log: printed.unsupportedArgument,
      reason: "ExitCode",
      says: "exit code 1: Unsupported argument;"
    },
    {
      given: "a plan of which the engine cannot write the JSON",
      command: show,
      end: exited(1),
      log: "Error: Failed to marshal plan to json: error in marshalPriorState: unsupported attribute \"role\"\n",
      reason: "ExitCode",
      says:
        "tofu plan succeeded, but tofu show cannot say what it changes (exit code 1: Failed to marshal plan to json: error in marshalPriorState: unsupported attribute \"role\"), so it cannot be applied; the log has the details, and another version of the engine or of a provider may help."
    },
    {
      given: "an engine that says nothing",
      command: plan,
      end: exited(2),
      log: "",
      reason: "ExitCode",
      says: "tofu plan failed with exit code 2; the log"
    },
    ...[printed.localState, printed.localWorkspaces, printed.localStateOnlyRead].map((log) => ({
      given: "a local state in the configuration",
      command: init,
      end: exited(1),
      log,
      reason: "InvalidConfiguration",
      says:
        "found a local state in the configuration, terraform.tfstate or terraform.tfstate.d, which a run does not take over: what it lists would be made again. Take it out; bring it to a workspace of a server with agent-job state push WORKSPACE FILE, or import what it lists with import blocks."
    })),
    {
      given: "a lock that somebody else has, at the backend of the configuration",
      command: init,
      end: exited(1),
      log: printed.localStateOnlyRead.replace("405", "423"),
      reason: "InvalidConfiguration",
      says: "init failed: Error acquiring the state lock;"
    },
    ...[
      printed.lockHeld,
      "Error: Error acquiring the state lock\n\nError message: operation error S3: PutObject, https response error StatusCode: 412, api error PreconditionFailed\nLock Info:\n  ID:        7f0d5f6e-2a34-6c55-7f0b-0c1d6a2f7e11\n  Who:       @pod\n"
    ].map((log) => ({
      given: "an apply while somebody else has the lock on the state",
      command: apply,
      end: exited(1),
      log,
      reason: "ExitCode",
      says:
        "tofu apply changed nothing, since somebody else, or a stage that died, has the lock 7f0d5f6e-2a34-6c55-7f0b-0c1d6a2f7e11 on the state; the log says more of it, and if its holder is certainly gone, open it (docs/state.md, \"Open a lock\")."
    })),
    {
      given: "an apply whose lock may not be taken",
      command: apply,
      end: exited(1),
      log: printed.localStateOnlyRead,
      reason: "ExitCode",
      says: "apply failed with exit code 1: Error acquiring the state lock;"
    },
    ...["Saved plan is stale", "Saved plan does not match the given state"].map((summary) => ({
      given: "a plan that was made from another state",
      command: apply,
      end: exited(1),
      log: `\u001b[31m╷\u001b[0m\n│ Error: ${summary}\n│ \n│ The given plan file can no longer be applied\n╵\n`,
      reason: "DigestMismatch",
      says: "tofu apply refused the saved plan, because the state is no longer the one that it was made from; plan again."
    })),
    {
      given: "a plan that was made from another state, said in JSON",
      command: apply,
      end: exited(1),
      log: inJson("Saved plan is stale", "The given plan file can no longer be applied because the state was changed by another operation"),
      reason: "DigestMismatch",
      says: "tofu apply refused the saved plan, because the state is no longer the one that it was made from; plan again."
    },
    {
      given: "a failure that is said in JSON",
      command: apply,
      end: exited(1),
      log: inJson("local-exec provisioner error", "Error running command 'exit 3': exit status 3. Output: "),
      reason: "ExitCode",
      says: "tofu apply failed with exit code 1: local-exec provisioner error; the log has the details."
    },
    {
      given: "a local state in the configuration, said in JSON",
      command: init,
      end: exited(1),
      log: inJson("Error acquiring the state lock", "Error message: Unexpected HTTP response code 405\n\nOpenTofu acquires a state lock"),
      reason: "InvalidConfiguration",
      says: "found a local state in the configuration"
    },
    {
      given: "a full disk, said in JSON",
      command: init,
      end: exited(1),
      log: inJson("Failed to install provider", "write /data/engine/p: no space left on device"),
      reason: "DiskFull",
      says: "tofu init ran out of disk space: Failed to install provider; if it was"
    },
    ...["Error acquiring the state lock\n│ \n│ Error message: already locked: ID=7f0d5f6e", "Saved plan is stale"].map((nested) => ({
      given: "an engine that a provisioner ran, which refused",
      command: apply,
      end: exited(1),
      log:
        `╷\n│ Error: local-exec provisioner error\n│ \n│ Error running command 'tofu apply': exit status 1. Output:\n│ Error: ${nested}\n╵\n`,
      reason: "ExitCode",
      says: "tofu apply failed with exit code 1: local-exec provisioner error; the log has the details."
    })),
    {
      given: "a workspace of the engine where the backend has one alone",
      command: init,
      end: exited(1),
      log: printed.workspaceNamed,
      reason: "InvalidConfiguration",
      says: "the backend has no other workspace than default; take TF_WORKSPACE out of the environment of the engine."
    },
    {
      given: "a disk that was full for the second of two errors",
      command: apply,
      end: exited(1),
      log: "╷\n│ Error: creating instance: timeout\n╵\n╷\n│ Error: Failed to save state\n│ \n│ no space left on device\n╵\n",
      reason: "DiskFull",
      says: "tofu apply ran out of disk space: Failed to save state; if it was the Pod's volume"
    },
    {
      given: "a full disk",
      command: plan,
      end: exited(1),
      log: "Error: write plan.tfplan: no space left on device\n",
      reason: "DiskFull",
      says:
        "tofu plan ran out of disk space: write plan.tfplan: no space left on device; if it was the Pod's volume, let tasks request ephemeral-storage,"
    },
    {
      given: "a full quota of a disk",
      command: plan,
      end: exited(1),
      log: "Error: write plan.tfplan: Disk quota exceeded\n",
      reason: "DiskFull",
      says:
        "tofu plan ran out of disk space: write plan.tfplan: Disk quota exceeded; if it was the Pod's volume, let tasks request ephemeral-storage,"
    },
    {
      given: "a full disk in init",
      command: init,
      end: exited(1),
      log: `${printed.providerNotInMirror} no space left on device`,
      reason: "DiskFull",
      says: "tofu init"
    },
    {
      given: "an engine that was killed",
      command: apply,
      end: exited(137),
      log: "",
      reason: "OutOfMemory",
      says: "Look at the state before the next run."
    },
    {
      given: "an engine that the runner's shell has found and cannot start",
      command: init,
      end: { _tag: "ProgramMissing" } as const,
      log: "",
      reason: "EngineMissing",
      says: "has tofu in its PATH, but cannot start it"
    },
    {
      given: "a runner that was started again",
      command: apply,
      end: { _tag: "Aborted" } as const,
      log: "",
      reason: "OutOfMemory",
      says: "The runner's container was ended during tofu apply"
    },
    {
      given: "a runner that could not start it",
      command: init,
      end: { _tag: "NotStarted", code: 126 } as const,
      log: "",
      reason: "InvalidConfiguration",
      says: "could not start tofu init (exit code 126 of its shell); check that the data volume has room and"
    },
    {
      given: "an apply of a wrapper that closes the descriptor for its events",
      command: apply,
      end: exited(1),
      log:
        "\n│ Error: Invalid argument\n│ \n│ Unable to open the file \"/dev/fd/7\" specified by -json-into for writing:\n│ open /dev/fd/7: no such device or address\n",
      reason: "ExitCode",
      says:
        "tofu apply changed nothing, since a wrapper of it in the runner image closed the descriptor 7 that it tells its events on; have the wrapper exec it"
    },
    {
      given: "a command that does not even die",
      command: apply,
      end: { _tag: "Unending" } as const,
      log: "",
      reason: "Lost",
      says: "did not end even when it was killed. Look at the state before the next run."
    },
    {
      given: "one that does not even die, and changes nothing",
      command: init,
      end: { _tag: "Unending" } as const,
      log: "",
      reason: "Lost",
      says: "did not end even when it was killed. Nothing was changed."
    }
  ])("is $reason for $given", ({ command, end, log, reason, says }) => {
    const failure = failureOf(command, end, log)
    expect(failure).toMatchObject(Option.some({ reason }))
    expect(Option.map(failure, ({ message }) => message.includes(says) ? says : message)).toEqual(Option.some(says))
    expect(Option.map(failure, ({ message }) => /^[^\n\u001b]+\.$/u.test(message))).toEqual(Option.some(true))
  })

  it.each([
    "discovery document: 503 Service\nUnavailable",
    "request failed after 2 attempts: 502 Bad Gateway returned from https://example.com/",
    "GET https://example.com/p.zip giving up after 3 attempt(s)",
    "failed to request discovery document: GET\nhttps://example.com/.well-known/terraform.json giving up after 4\nattempt(s)", // Terraform 1.15.9, of a 429
    "bad\nresponse code: 504",
    "read tcp 10.0.0.1:60020->10.0.0.2:443: read: connection reset by peer",
    "Get \"https://example.com/versions\": EOF",
    "Get \"https://example.com/versions\": context deadline\nexceeded",
    "net/http:\nrequest canceled (Client.Timeout exceeded while awaiting headers)",
    "net/http: TLS handshake timeout",
    "dial tcp: lookup example.com on 10.96.0.10:53: read udp 10.0.0.1:4->10.96.0.10:53: i/o timeout",
    "dial tcp: lookup example.com: Temporary failure in name resolution",
    "dial tcp: lookup example.com on 10.96.0.10:53: server misbehaving",
    "ssh: connect to host example.com port 22: Connection refused",
    "fatal: unable to access 'https://example.com/': Failed to connect to example.com port 443: Couldn't connect to server",
    "500 Internal Server Error",
    "504 Gateway Timeout"
  ])("may pass when init is run again, for %j", (words) => {
    const log = `Error: Failed to download\n\nIt is: ${words}\n`
    expect(failureOf(init, exited(1), log)).toMatchObject(Option.some({ reason: "ExitCode", mayPass: true }))
    expect(failureOf(init, exited(1), `│ ${log.replaceAll("\n", "\n│ ")}`)).toMatchObject(Option.some({ mayPass: true }))
  })

  it.each([
    { given: "a provider that is not in the mirror", command: init, log: printed.providerNotInMirror },
    { given: "a registry that refuses", command: init, log: printed.registryBusy.replace("429 Too", "403 Too") },
    { given: "a wrong configuration", command: init, log: `${printed.unsupportedArgument}  7: timeout = 503\n` },
    ...[
      "no EC2 IMDS role found, operation error ec2imds: GetMetadata, request canceled, context deadline exceeded",
      "giving up after 1 attempt(s): Get \"https://example.com/\": unsupported protocol scheme",
      "on main.tf line 5:\n   5: EOF",
      "giving up after 2 attempt(s): Get \"https://example.com/\": tls: failed to verify certificate: x509: unknown authority",
      "failed to request discovery document: GET\nhttps://registry.example/.well-known/terraform.json giving up after 4\nattempt(s): Get\n\"https://registry.example/.well-known/terraform.json\": dial tcp: lookup registry.example on 10.96.0.10:53: no such host", // Terraform 1.15.9
      "dial tcp 127.0.0.1:5432: connect: connection refused",
      "Get \"http://localhost/api\": dial tcp [::1]:80: connect: connection refused"
    ].map((said) => ({ given: said, command: init, log: `Error: Error configuring the backend\n\n${said}\n` })),
    { given: "a provider that is busy when the plan is made", command: plan, log: printed.registryBusy },
    { given: "an apply, which may have changed something", command: apply, log: printed.registryBusy },
    {
      given: "an error after trouble that passed",
      command: init,
      log: `2026-01-01T00:00:00Z [WARN] 503 Service Unavailable, retrying\n${printed.unsupportedArgument}`
    }
  ])(
    "does not pass by itself for $given",
    ({ command, log }) => expect(Option.map(failureOf(command, exited(1), log), ({ mayPass }) => mayPass)).toEqual(Option.some(undefined))
  )

  it("names the provider of the first error that names one", () =>
    expect(
      failureOf(
        init,
        exited(1),
        "provider a/b\nError: Failed to install provider\n\n  Error while installing\n  provider hashicorp/aws v1\nError: provider c/d\n"
      )
    ).toMatchObject(Option.some({ message: expect.stringContaining("the provider hashicorp/aws;") })))

  it.each(["\n", "│\n", " ", "\u2028", "Error: ", "Error: provider a", "provider registry "])(
    "takes no longer for an end of the log full of %j",
    (filling) =>
      expect(failureOf(init, exited(1), `Error: Failed to install provider\n${filling.repeat(65_536 / filling.length)}x`)).toMatchObject(
        Option.some({ reason: "ProviderMissing" })
      )
  )

  it.each([
    "pq: permission denied for schema x",
    "Workspace is already locked: demo",
    "Already locked for workspace creation: demo",
    "failed to read body"
  ])(
    "names no lock where backend pg names the one that it wanted itself: %s",
    (said) => {
      const log = `Error: Error acquiring the state lock\n\nError message: ${said}\nLock Info:\n  ID:        7f0d5f6e\n  Who:       @pod\n`
      expect(Option.map(failureOf(apply, exited(1), log), ({ message }) => message)).toEqual(
        Option.some("tofu apply failed with exit code 1: Error acquiring the state lock; the log has the details.")
      )
    }
  )

  it("takes no longer for a lock of which every line tells", () => {
    const lines = "already locked: ID=\nLock Info:\n  ID:  /\n".repeat(1000)
    expect(failureOf(apply, exited(1), `${lines}Error: Error acquiring the state lock\n${lines}`)).toMatchObject(
      Option.some({ message: "tofu apply failed with exit code 1: Error acquiring the state lock; the log has the details." })
    )
  })

  it("keeps the engine's exit code", () => expect(failureOf(plan, exited(3))).toMatchObject(Option.some({ exitCode: 3 })))

  it("knows the code of an engine whose container was ended, since nothing but a kill ends it then, and the state may lack what it made", () => {
    const aborted = { _tag: "Aborted" } as const
    expect(Option.map(failureOf(apply, aborted), ({ exitCode }) => exitCode)).toEqual(Option.some(137))
    expect(Option.map(failureOf(plan, aborted), ({ exitCode }) => exitCode)).toEqual(Option.some(undefined))
  })
})

describe("errorSummary", () => {
  it("is the engine's error, without colours", () =>
    expect(errorSummary(printed.moduleMissing)).toEqual(Option.some("Unreadable module directory")))
  it("is nothing when no error was printed", () => expect(errorSummary("all is well\n")).toEqual(Option.none()))
  it("is not taken from the middle of a line", () => expect(errorSummary("message: Error: no\n")).toEqual(Option.none()))
  it("ends without the engine's own full stop", () => expect(errorSummary("│ Error:  it failed...: \n")).toEqual(Option.some("it failed")))
  it.each(["\n", "│\n", "\u2028", "."])(
    "takes no longer for an end of the log full of %j",
    (filling) => expect(errorSummary(`Error: it failed\n${filling.repeat(65_536 / filling.length)}x`)).toEqual(Option.some("it failed"))
  )
  it("takes no longer for dots before its end", () =>
    expect(errorSummary(`Error: ${".".repeat(65_536)}x`)).toEqual(Option.some(`${".".repeat(299)}…`)))
  it("is cut when it is very long", () =>
    expect(Option.map(errorSummary(`Error: ${"x".repeat(5000)}\n`), (_) => _.length)).toEqual(Option.some(300)))
})

describe("plainText", () => {
  it.each([
    { given: "colours", text: "\u001b[1m\u001b[31mred\u001b[0m" },
    { given: "a title", text: "\u001b]0;title\u0007red" },
    { given: "a link", text: "\u001b]8;;http://example.com\u001b\\red\u001b]8;;\u001b\\" },
    { given: "other control characters", text: "r\u0007e\u0000d\u009b" }
  ])("drops $given", ({ text }) => expect(plainText(text)).toBe("red"))
})

describe("stopMessage", () => {
  it.each(
    [
      { cause: "Cancelled", during: Option.none(), message: "The stage was cancelled; nothing was changed." },
      {
        cause: "Evicted",
        during: Option.some({ name: "tofu plan", mutates: false, killed: true }),
        message:
          "The Pod had to leave its node during tofu plan; nothing was changed. If the Pod's events name a limit of its disk, raise that one, most often persistence.emptyDir.sizeLimit."
      },
      {
        cause: "DeadlineExceeded",
        during: Option.some({ name: "tofu apply", mutates: true, killed: false }),
        exitCode: 1,
        inOrder: true,
        message: "The stage ran longer than timeoutSeconds during tofu apply, which was interrupted; what it had made is in the state."
      },
      {
        cause: "Cancelled",
        during: Option.some({ name: "tofu apply", mutates: true, killed: true }),
        message:
          "The stage was cancelled during tofu apply, which did not end in time and was killed. Look at the state before the next run."
      },
      {
        cause: "Cancelled",
        during: Option.some({ name: "tofu apply", mutates: true, killed: false }),
        message:
          "The stage was cancelled during tofu apply, which was interrupted and did not end in order. Look at the state before the next run."
      },
      {
        cause: "Cancelled",
        during: Option.some({ name: "tofu apply", mutates: true, killed: false }),
        exitCode: 130,
        message:
          "The stage was cancelled during tofu apply, which was interrupted and did not end in order (exit code 130). Look at the state before the next run."
      },
      {
        cause: "Cancelled",
        during: Option.some({ name: "tofu apply", mutates: true, killed: false }),
        exitCode: 137,
        message:
          "The stage was cancelled during tofu apply, which was interrupted and then killed, most likely because it used more memory than its limit. Look at the state before the next run."
      },
      {
        cause: "Cancelled",
        during: Option.some({ name: "tofu apply", mutates: true, killed: true }),
        exitCode: 137,
        message:
          "The stage was cancelled during tofu apply, which did not end in time and was killed. Look at the state before the next run."
      },
      {
        cause: "OutOfMemory",
        during: Option.some({ name: "tofu plan", mutates: false, killed: false }),
        message:
          "The runner came to 80 % of its memory limit during tofu plan; nothing was changed. To go further, raise task.runner.resources.limits.memory."
      }
    ] as const
  )("says $message", ({ inOrder = false, message, ...stop }) => expect(stopMessage(stop, inOrder)).toBe(message))
})
