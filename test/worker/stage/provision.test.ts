// How a configuration comes into the working directory: its files, its variables, its backend.
import { describe, expect, it, vi } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Option } from "effect"
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { RunId, Sha256, WorkspaceName } from "../../../src/schema/names.ts"
import type { AgentTaskSpec } from "../../../src/schema/task/agent-task.ts"
import type { Backing } from "../../../src/worker/backing/backing.ts"
import { Settings } from "../../../src/worker/settings.ts"
import type { StageFailed } from "../../../src/worker/stage-failed.ts"
import { provision } from "../../../src/worker/stage/provision.ts"
import { variablesOf } from "../../../src/worker/stage/variables.ts"
import { writeFile } from "../../../src/worker/volume/folder.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { podEnvironment } from "../pod-settings.ts"

const spec = (more: Partial<AgentTaskSpec>): AgentTaskSpec => ({
  workspace: WorkspaceName.make("demo"),
  stage: "plan",
  source: { inline: { "main.tf": "# main" } },
  ...more
})

/** Provisions into a directory of its own, and returns the result and what is in the directory. */
const provisioned = (task: AgentTaskSpec, { bring = Option.none(), env = {}, prepare = () => {} }: {
  readonly bring?: Backing["bringSource"]
  readonly env?: Readonly<Record<string, string>>
  readonly prepare?: (directory: string) => void
} = {}) =>
  Effect.gen(function*() {
    const directory = yield* temporaryFolder("provision")
    yield* Effect.acquireRelease(
      Effect.sync(() => Object.entries(env).forEach(([name, value]) => vi.stubEnv(name, value))),
      () => Effect.sync(() => vi.unstubAllEnvs())
    )
    for (const name of ["data", "private", "source"]) {
      mkdirSync(join(directory, name))
    }
    prepare(directory)
    const environment = ConfigProvider.layer(
      ConfigProvider.fromUnknown(
        podEnvironment(join(directory, "data"), join(directory, "private"), { AGENT_JOB_SOURCE_DIR: join(directory, "source") })
      )
    )
    return yield* Effect.gen(function*() {
      const variables = yield* variablesOf(task.variables ?? [], [])
      const result: Effect.Success<ReturnType<typeof provision>> | StageFailed = yield* Effect.catch(
        provision(task, variables, bring),
        Effect.succeed
      )
      const work = join(directory, "data/work")
      return {
        result,
        variables,
        read: (name: string) => readFileSync(join(work, name), "utf8"),
        names: () => readdirSync(work).sort(),
        modeOf: (name: string) => statSync(join(work, name)).mode & 0o777
      }
    }).pipe(Effect.provide(Layer.provideMerge(Layer.orDie(Settings.layer), environment)))
  })

describe("provision", () => {
  it.effect("writes the files of the task, below directories too", () =>
    Effect.gen(function*() {
      const { names, read } = yield* provisioned(spec({ source: { inline: { "main.tf": "# main", "modules/net/main.tf": "# net" } } }))
      expect(names()).toEqual(["main.tf", "modules"])
      expect(read("modules/net/main.tf")).toBe("# net")
    }))

  it.effect.each([{ name: "../main.tf" }, { name: "/etc/passwd" }, { name: "a/../../b" }])(
    "refuses the file name $name",
    ({ name }) =>
      Effect.gen(function*() {
        const { result } = yield* provisioned(spec({ source: { inline: { [name]: "x" } } }))
        expect(result).toMatchObject({ reason: "InvalidConfiguration", message: expect.stringContaining(name) })
      })
  )

  it.effect.each([{ name: "" }, { name: "./" }, { name: "x".repeat(256) }, { name: `a/${"é".repeat(128)}` }])(
    "refuses the file name $name, which no file can have",
    ({ name }) =>
      Effect.gen(function*() {
        const { result } = yield* provisioned(spec({ source: { inline: { [name]: "x" } } }))
        expect(result).toMatchObject({
          reason: "InvalidConfiguration",
          message: expect.stringContaining("is empty, or longer than 255 bytes between two \"/\"; give another one")
        })
      })
  )

  it.effect("takes the keys of a mounted ConfigMap, which the kubelet makes as links", () =>
    Effect.gen(function*() {
      const { names, read } = yield* provisioned(spec({ source: { configMap: { name: "config" } } }), {
        prepare: (directory) => {
          const mount = join(directory, "source")
          mkdirSync(join(mount, "..2026_01_01"))
          writeFileSync(join(mount, "..2026_01_01/main.tf"), "# mapped")
          symlinkSync("..2026_01_01", join(mount, "..data"))
          symlinkSync("..data/main.tf", join(mount, "main.tf"))
        }
      })
      expect(names()).toEqual(["main.tf"])
      expect(read("main.tf")).toBe("# mapped")
    }))

  it.effect("works below workingDirectory, where it puts what it adds", () =>
    Effect.gen(function*() {
      const { modeOf, read, result } = yield* provisioned(spec({
        source: { inline: { "live/demo/main.tf": "# main" } },
        workingDirectory: "./live/demo/",
        variables: [{ name: "region", value: "eu" }]
      }))
      expect(result).toMatchObject({ directory: ["live", "demo"], path: expect.stringMatching(/\/work\/live\/demo$/u) })
      expect(read("live/demo/zzz_agent_job.auto.tfvars")).toBe(`region = "eu"\n`)
      expect(modeOf("live/demo/main.tf")).toBe(0o664)
      expect(modeOf("live/demo/zzz_agent_job.auto.tfvars")).toBe(0o660) // a variable may be sensitive
    }))

  it.effect("gives variables after all that the configuration gives them", () =>
    Effect.gen(function*() {
      const { names, read } = yield* provisioned(spec({
        source: { inline: { "main.tf": "# main", "zzzz.auto.tfvars": `region = "us"` } },
        variables: [{ name: "region", value: "eu" }]
      }))
      expect(names()).toEqual(["main.tf", "zzzz.auto.tfvars", "zzzz.auto.tfvars.zzz_agent_job.auto.tfvars"])
      expect(read("zzzz.auto.tfvars.zzz_agent_job.auto.tfvars")).toBe(`region = "eu"\n`)
    }))

  it.effect("tells the engine of modules that came with the configuration, which stay where they are", () =>
    Effect.gen(function*() {
      const inline = {
        "live/main.tf": "# main",
        "live/.terraform/modules/modules.json": `{"Modules":[]}`,
        "live/.terraform/modules/m/main.tf": "# m"
      }
      const { read } = yield* provisioned(spec({ source: { inline }, workingDirectory: "live" }))
      expect(read("../engine/modules/modules.json")).toBe(`{"Modules":[]}`)
      expect(read("live/.terraform/modules/m/main.tf")).toBe("# m")
      const elsewhere = yield* provisioned(spec({ source: { inline } }))
      expect(() => elsewhere.read("../engine/modules/modules.json")).toThrow("ENOENT") // the modules are of another root module
    }))

  it.effect.each([
    { of: "the server", more: { plan: { sha256: Sha256.make("0".repeat(64)) } } },
    {
      of: "a claim",
      more: { source: { savedPlan: { claimName: "plans", sha256: Sha256.make("0".repeat(64)) } } }
    }
  ])("leaves it to a plan of $of to tell the engine of its modules", ({ more }) =>
    Effect.gen(function*() {
      const bring: Backing["bringSource"] = Option.some((root) =>
        Effect.andThen(
          writeFile(root, ["main.tf"], "# main"),
          writeFile(root, [".terraform", "modules", "modules.json"], `{"Modules":[]}`)
        )
      )
      const { read } = yield* provisioned(spec({ stage: "apply", source: {}, ...more }), { bring })
      expect(read(".terraform/modules/modules.json")).toBe(`{"Modules":[]}`)
      expect(() => read("../engine/modules/modules.json")).toThrow("ENOENT")
    }))

  it.effect("counts the path of a source of Flux as its root", () =>
    Effect.gen(function*() {
      const files: Backing["bringSource"] = Option.some((root) => writeFile(root, ["teams", "net", "live", "main.tf"], "# main"))
      const from = (path: string) =>
        provisioned(spec({ source: { fluxSource: { kind: "GitRepository", name: "infra", path } }, workingDirectory: "live" }), {
          bring: files
        })
      expect((yield* from("./teams/net")).result).toMatchObject({ directory: ["teams", "net", "live"] })
      expect((yield* from("teams")).result).toMatchObject({
        message: "The source has no directory teams/live; correct source.fluxSource.path or workingDirectory."
      })
      expect((yield* from("../teams")).result).toMatchObject({ message: expect.stringContaining("source.fluxSource.path") })
    }))

  it.effect.each([
    { workingDirectory: "../elsewhere", says: /workingDirectory/u },
    { workingDirectory: "missing", says: /has no directory missing/u },
    { workingDirectory: "main.tf", says: /has no directory main\.tf/u }
  ])("refuses workingDirectory $workingDirectory", ({ says, workingDirectory }) =>
    Effect.gen(function*() {
      const { result } = yield* provisioned(spec({ workingDirectory }))
      expect(result).toMatchObject({ reason: "InvalidConfiguration", message: expect.stringMatching(says) })
    }))

  it.effect("treats what is inside a secret as one too", () =>
    Effect.gen(function*() {
      const { variables } = yield* provisioned(
        spec({
          variables: [{ name: "tokens", value: `["first-token"]`, hcl: true, sensitive: true }, {
            name: "CLOUD",
            value: `{"key":"cloud-key"}`,
            category: "env",
            sensitive: true
          }, { name: "names", value: `["a name"]`, hcl: true }]
        })
      )
      expect(variables).toMatchObject({ secrets: [`["first-token"]`, `{"key":"cloud-key"}`], parts: ["first-token", "cloud-key"] })
    }))

  it.effect("says of a secret with very much inside that not all of that is hidden by itself", () =>
    Effect.gen(function*() {
      const value = JSON.stringify(Array.from({ length: 1001 }, (_, at) => `token-${at}`))
      const { variables } = yield* provisioned(spec({ variables: [{ name: "tokens", value, sensitive: true }] }))
      expect(variables.parts).toHaveLength(1000)
      expect(variables.shown).toEqual([
        "The value of tokens contains more than 1000 texts; only the first 1000 are also kept out of this log one by one, the others only together with what surrounds them."
      ])
    }))

  it.effect("takes the values of Secrets from the Pod, and treats them as secret", () =>
    Effect.gen(function*() {
      const reference = { secretKeyRef: { name: "creds", key: "token" } }
      const { read, variables } = yield* provisioned(
        spec({
          variables: [{ name: "plain", value: "p" }, { name: "token", valueFrom: reference }, {
            name: "TOKEN",
            valueFrom: reference,
            category: "env"
          }, { name: "pin", value: "123", sensitive: true }]
        }),
        { env: { AGENT_JOB_VARIABLE_1: "from-secret", AGENT_JOB_VARIABLE_2: "also-from-secret" } }
      )
      expect(variables).toEqual({
        inputs: [
          { name: "plain", value: "p", hcl: false },
          { name: "token", value: "from-secret", hcl: false },
          { name: "pin", value: "123", hcl: false }
        ],
        env: { TOKEN: "also-from-secret" },
        secrets: ["from-secret", "also-from-secret", "123"],
        parts: [],
        declared: [],
        shown: ["The value of pin is too short to be kept out of this log."]
      })
      expect(read("zzz_agent_job.auto.tfvars")).not.toContain("also-from-secret")
    }))

  it.effect("takes an empty value of a Secret for a value", () =>
    Effect.gen(function*() {
      const { variables } = yield* provisioned(
        spec({ variables: [{ name: "suffix", valueFrom: { secretKeyRef: { name: "creds", key: "suffix" } } }] }),
        { env: { AGENT_JOB_VARIABLE_0: "" } }
      )
      expect(variables).toMatchObject({ inputs: [{ name: "suffix", value: "", hcl: false }], secrets: [""], shown: [] })
    }))

  it.effect("refuses an HCL expression that is empty, which the engine would find in a file of ours", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(provisioned(spec({ variables: [{ name: "zones", value: " ", hcl: true }] })))
      expect(error).toMatchObject({
        reason: "InvalidConfiguration",
        message: `The value of the variable zones is empty, and so no HCL expression; "" is that of an empty text.`
      })
    }))

  it.effect("fails when the Pod has no value for a reference", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        provisioned(spec({ variables: [{ name: "token", valueFrom: { secretKeyRef: { name: "creds", key: "token" } } }] }))
      )
      expect(error).toMatchObject({ reason: "InvalidConfiguration", message: expect.stringContaining("token") })
    }))

  it.effect("writes the backend that a task asks for", () =>
    Effect.gen(function*() {
      const { read } = yield* provisioned(spec({ backend: { type: "local", config: { path: "/mnt/state/x" } } }))
      expect(read("zzzz_agent_job_override.tf")).toContain(`backend "local" {\n    path = "/mnt/state/x"`)
    }))

  it.effect("writes an empty http backend for a pool, whatever the archive has there", () =>
    Effect.gen(function*() {
      const { read } = yield* provisioned(
        spec({
          source: { inline: { "zzzz_agent_job_override.tf": "# of the archive" } },
          pool: { url: "http://127.0.0.1:1", runId: RunId.make("run-a"), tokenSecret: { name: "t" } }
        })
      )
      expect(read("zzzz_agent_job_override.tf")).toBe(`terraform {\n  backend "http" {\n  }\n}\n`)
    }))

  it.effect("refuses a working directory that somebody has prepared", () =>
    Effect.gen(function*() {
      const { result } = yield* provisioned(spec({}), {
        prepare: (directory) => symlinkSync(join(directory, "private"), join(directory, "data/work"))
      })
      expect(result).toMatchObject({ reason: "InvalidConfiguration" })
    }))
})
