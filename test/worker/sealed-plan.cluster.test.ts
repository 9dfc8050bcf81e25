// From a plan to its apply with the real worker and the real server: if any input changes in between, the apply is refused.
// The engine is a stand-in that writes down every command it is given; the API server is in memory.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, type Scope, Scope as Scopes, Stream } from "effect"
import { Tar } from "effect/encoding"
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { specOf } from "../../src/core/task/intake.ts"
import type { Assignment } from "../../src/schema/api/pool-api.ts"
import { agent, archiveOf, ask, directory, person, serve, sha256, userToken } from "../server/live-server.ts"
import { temporaryFolder } from "../temporary-folder.ts"
import { fakeKubernetes } from "./fake-kubernetes.ts"
import { pod } from "./pod.ts"

const uid = "task-uid" // of the task in memory

/** A program that takes the lock of the state and gives it back, as every apply does. */
const locking = `(async () => {
  const { TF_HTTP_LOCK_ADDRESS: lock, TF_HTTP_UNLOCK_ADDRESS: unlock } = process.env
  for (const address of [lock, unlock]) await fetch(address, { method: "POST", body: JSON.stringify({ ID: "l" }) })
})()`

/** An engine that plans one resource and records its commands in `calls`; its `init` also runs `onInit`. */
const engine = (calls: string, { onInit = "", version = "1.12.6" } = {}) =>
  `#!/bin/sh
case $1 in
version) echo '{"terraform_version": "${version}"}' ;;
show) echo '{"resource_changes": [{"mode": "managed", "change": {"actions": ["create"]}}]}' ;;
*) echo "$*" >> ${calls} ;;
esac
case $1 in
init) echo '{"backend": {"type": "http"}}' > $TF_DATA_DIR/terraform.tfstate; ${onInit === "" ? ":" : onInit} ;;
plan) printf 'the plan' > $TF_DATA_DIR/plan.tfplan; printf '# provider' > .terraform.lock.hcl ;;
apply) ${process.execPath} -e '${locking}' ;;
esac
`

interface Scene {
  /** Returns a person at the server, which has another URL after each restart. */
  readonly me: () => ReturnType<typeof person>
  readonly files: string
  readonly workspaceId: string
  readonly id: string
  readonly away: (change: (database: DatabaseSync) => void) => Effect.Effect<void, unknown>
}

/** Everything up to a run whose plan waits for its approval. */
const planned = Effect.gen(function*() {
  const files = yield* directory
  const calls = join(yield* temporaryFolder("calls"), "calls")
  let up = yield* Scopes.make()
  yield* Effect.addFinalizer((exit) => Scopes.close(up, exit))
  let url = yield* Scopes.provide(serve(files), up)
  const me = () => person(url)
  const workspaceId = yield* me().workspace("demo", { "working-directory": "live" })
  const set = (key: string, value: string, more: object = {}) =>
    me().as("POST", `/api/v2/workspaces/${workspaceId}/vars`, { data: { attributes: { key, value, category: "terraform", ...more } } })
  yield* set("region", "eu")
  yield* set("db_password", "hunter2-long", { sensitive: true })
  yield* set("AWS_REGION", "eu-1", { category: "env" })
  yield* pushState(url, { version: 4, serial: 4, lineage: "one" })
  yield* me().upload(workspaceId, archiveOf({ "live/main.tf": "# one" }))
  const id = String((yield* me().run(workspaceId)).json.data.id)

  /** Runs the stage that waits in a Pod of its own; returns its result, its log and the commands of its engine. */
  const stage = (programs: Readonly<Record<string, string>>, environment: Readonly<Record<string, string>> = {}) =>
    Effect.scoped(Effect.gen(function*() {
      const assignment: Assignment = yield* agent(url, "agent-1", uid).take
      const kubernetes = fakeKubernetes(JSON.parse(JSON.stringify(specOf(assignment, url))))
      const { log, privateDirectory, run } = yield* pod(programs, undefined, environment)
      writeFileSync(join(privateDirectory, "token"), assignment.taskToken)
      rmSync(calls, { force: true })
      yield* run(kubernetes, { AGENT_JOB_TOKEN_FILE: join(privateDirectory, "token"), AGENT_JOB_POOL_PATIENCE: "5 seconds" })
      const commands = existsSync(calls) ? readFileSync(calls, "utf8").trim().split("\n").map((line) => line.split(" ")[0]) : []
      return { result: kubernetes.task().status.result, commands, log: log() }
    }))

  const away: Scene["away"] = (change) =>
    Effect.gen(function*() {
      yield* Scopes.close(up, Exit.void)
      const database = new DatabaseSync(join(files, "data/agent-job.sqlite"))
      change(database)
      database.close()
      up = yield* Scopes.make()
      url = yield* Scopes.provide(serve(files), up)
    })

  const plan = yield* stage({ tofu: engine(calls) })
  expect(plan.result, plan.log).toMatchObject({ outcome: "succeeded", hasChanges: true })
  expect(plan.commands).toEqual(["init", "plan"])
  expect((yield* me().view(id)).status).toBe("planned")
  const scene: Scene = { me, files, workspaceId, id, away }
  return { ...scene, set, calls, stage, url: () => url }
})

const pushState = Effect.fnUntraced(function*(url: string, state: object) {
  const address = `${url}/api/state/v1/workspaces/demo`
  yield* ask(address, userToken, "PUT", { ID: "l1" })
  expect((yield* ask(`${address}?ID=l1`, userToken, "POST", state)).status).toBe(204)
  yield* ask(address, userToken, "DELETE", { ID: "l1" })
})

/**
 * Stores the package with changed entries under its new digest, and returns that and its size. An attacker who can write to the server's disk and
 * database could do the same.
 */
const forged = (files: string, stored: string, change: (name: string, content: Buffer) => Buffer | undefined) =>
  Effect.gen(function*() {
    const [found = ""] = globSync(join(files, `data/**/${stored}`))
    const entries = yield* Stream.make(readFileSync(found)).pipe(
      Stream.pipeThroughChannel(Tar.decode<never>()),
      Stream.mapEffect(({ body, header }) =>
        Effect.map(Stream.runCollect(body), (chunks) => ({ name: header.path, content: change(header.path, Buffer.concat(chunks)) }))
      ),
      Stream.runCollect
    )
    const bytes = Buffer.concat(
      yield* Stream.runCollect(
        Stream.fromIterable(entries.flatMap(({ content, name }) => content === undefined ? [] : [Tar.file(name, content)])).pipe(
          Stream.pipeThroughChannel(Tar.encode())
        )
      )
    )
    writeFileSync(join(found, "..", sha256(bytes)), bytes)
    return { sha: sha256(bytes), sizeBytes: bytes.length }
  })

const flip = (bytes: Buffer): Buffer => Buffer.from(bytes.map((byte, at) => at === 0 ? byte ^ 1 : byte))

type Planned = Effect.Success<typeof planned>

/** Makes the server take a forged package for the approved one. */
const forge = (scene: Planned, change: (name: string, content: Buffer) => Buffer | undefined) =>
  Effect.gen(function*() {
    const { planSha256 = "" } = yield* scene.me().view(scene.id)
    const { sha, sizeBytes } = yield* forged(scene.files, planSha256, change)
    yield* scene.away((database) => {
      database.prepare("UPDATE runs SET planSha256 = ?").run(sha)
      database.prepare("UPDATE stages SET planBytes = ? WHERE planBytes > 0").run(sizeBytes)
    })
  })

const changes: ReadonlyArray<{
  readonly given: string
  readonly change: (scene: Planned) => Effect.Effect<unknown, unknown, Scope.Scope>
  readonly apply?: (calls: string) => Readonly<Record<string, string>>
  /** What the runner has by itself. */
  readonly environment?: Readonly<Record<string, string>>
  readonly words: string
  /** The commands that the engine gets before the refusal: none, if the worker can tell without the engine. */
  readonly commands?: ReadonlyArray<string>
}> = [
  {
    given: "the archive",
    change: (scene) =>
      Effect.gen(function*() {
        const archive = archiveOf({ "live/main.tf": "# two" })
        yield* scene.me().upload(scene.workspaceId, archive)
        yield* scene.away((database) => void database.prepare("UPDATE runs SET archiveSha256 = ?").run(sha256(archive)))
      }),
    words: "another configuration archive"
  },
  {
    given: "the working directory",
    change: ({ away }) => away((database) => void database.prepare("UPDATE runs SET workingDirectory = ''").run()),
    words: "another working directory (live, now the archive's root)"
  },
  { given: "a variable", change: ({ set }) => set("region", "ev"), words: "other variables (region)" },
  {
    given: "a sensitive variable",
    change: ({ set }) => set("db_password", "hunter3-long", { sensitive: true }),
    words: "other variables (db_password)"
  },
  { given: "which variables there are", change: ({ set }) => set("more", ""), words: "other variables (more)" },
  {
    given: "a variable of the environment",
    change: ({ set }) => set("AWS_REGION", "eu-2", { category: "env" }),
    words: "other environment variables (AWS_REGION)"
  },
  {
    given: "what the runner has by itself",
    change: () => Effect.void,
    environment: { TF_VAR_zone: "b", LANG: "C" },
    words: "other environment variables (TF_VAR_zone)"
  },
  {
    given: "the state's serial",
    change: ({ url }) => pushState(url(), { version: 4, serial: 5, lineage: "one" }),
    words: "another state (serial 4, now serial 5)"
  },
  {
    given: "the state's lineage",
    change: ({ away }) => away((database) => void database.prepare("UPDATE stateVersions SET lineage = 'onf'").run()),
    words: "a state of another lineage"
  },
  {
    given: "the engine's version",
    change: () => Effect.void,
    apply: (calls) => ({ tofu: engine(calls, { version: "1.12.7" }) }),
    words: "another engine (tofu 1.12.6, now tofu 1.12.7)"
  },
  {
    given: "the engine",
    change: ({ away }) =>
      away((database) => void database.prepare("UPDATE runs SET engine = ?").run(JSON.stringify({ name: "terraform" }))),
    apply: (calls) => ({ tofu: engine(calls), terraform: engine(calls) }),
    words: "another engine (tofu 1.12.6, now terraform 1.12.6)"
  },
  {
    given: "the plan file in the package",
    change: (scene) => forge(scene, (name, content) => name === "plan.tfplan" ? flip(content) : content),
    words: "another plan file"
  },
  {
    given: "the lock file in the package",
    change: (scene) => forge(scene, (name, content) => name === ".terraform.lock.hcl" ? flip(content) : content),
    words: "another provider lock file"
  },
  {
    given: "the lock file by the engine's init",
    change: () => Effect.void,
    apply: (calls) => ({ tofu: engine(calls, { onInit: "printf '!' >> .terraform.lock.hcl" }) }),
    words: "another provider lock file",
    commands: ["init"]
  },
  {
    given: "a module by the engine's init",
    change: () => Effect.void,
    apply: (calls) => ({ tofu: engine(calls, { onInit: "mkdir -p $TF_DATA_DIR/modules/vpc; echo > $TF_DATA_DIR/modules/vpc/run.sh" }) }),
    words: "other modules (vpc)",
    commands: ["init"]
  },
  {
    given: "the plan file while the engine's init runs",
    change: () => Effect.void,
    apply: (calls) => ({ tofu: engine(calls, { onInit: "printf '!' >> $TF_DATA_DIR/plan.tfplan" }) }),
    words: "another plan file",
    commands: ["init"]
  }
]

describe("an apply", () => {
  it.live("runs the plan that was approved while everything is as it was", () =>
    Effect.gen(function*() {
      const { calls, id, me, stage } = yield* planned
      const { planSha256 } = yield* me().view(id)
      expect((yield* me().as("POST", `/api/v2/runs/${id}/actions/apply`, { seal: planSha256 })).status).toBe(202)
      const { commands, log, result } = yield* stage({ tofu: engine(calls) })
      expect(result, log).toMatchObject({ outcome: "succeeded" })
      expect(commands).toEqual(["init", "apply"])
      expect(yield* me().view(id)).toMatchObject({
        status: "applied",
        approval: { seal: planSha256, by: expect.stringMatching(/^[0-9a-f]{8}$/u) }
      })
    }))

  it.live.each(changes)(
    "is refused after a change of $given",
    ({ apply, change, commands = [], environment, words }) =>
      Effect.gen(function*() {
        const scene = yield* planned
        yield* change(scene)
        yield* scene.me().act(scene.id, "apply")
        const applied = yield* scene.stage(apply?.(scene.calls) ?? { tofu: engine(scene.calls) }, environment)
        expect(applied.result, applied.log).toMatchObject({
          outcome: "failed",
          reason: "DigestMismatch",
          message: `The saved plan was made with ${words} than this apply would get; plan again.`
        })
        expect(applied.commands).toEqual(commands)
        expect(yield* scene.me().view(scene.id)).toMatchObject({ status: "errored", failure: applied.result?.message })
      })
  )

  it.live.each([
    {
      given: "has one bit turned",
      change: (_: string, content: Buffer) => content,
      disk: flip,
      message: "The SHA-256 of the saved plan is"
    },
    {
      given: "lost its seal",
      change: (name: string, content: Buffer) => name === "seal.json" ? undefined : content,
      disk: undefined,
      message: "The saved plan has no seal that this version knows in full"
    }
  ])("is refused with a package that $given", ({ change, disk, message }) =>
    Effect.gen(function*() {
      const scene = yield* planned
      const { planSha256 = "" } = yield* scene.me().view(scene.id)
      const [stored = ""] = globSync(join(scene.files, `data/**/${planSha256}`))
      yield* disk === undefined ? forge(scene, change) : Effect.sync(() => writeFileSync(stored, disk(readFileSync(stored))))
      yield* scene.me().act(scene.id, "apply")
      const { commands, result } = yield* scene.stage({ tofu: engine(scene.calls) })
      expect(result).toMatchObject({ outcome: "failed", reason: "DigestMismatch", message: expect.stringContaining(message) })
      expect(commands).toEqual([])
    }))
})
