// A plan on a claim gets from the Pod that made it to the Pod that applies it whole and with its configuration, or not at all.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Option, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { execFileSync } from "node:child_process"
import fs, { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import { join } from "node:path"
import { vi } from "vitest"
import { Sha256, WorkspaceName } from "../../../src/schema/names.ts"
import type { Seal } from "../../../src/schema/task/seal.ts"
import { marksOf, packCarried } from "../../../src/worker/backing/carried-files.ts"
import { beginKeptPlan, bringKeptPlan, bringPlannedSource, keepPlan, sealingKey } from "../../../src/worker/backing/kept-plan.ts"
import { Log } from "../../../src/worker/engine/log-shipper.ts"
import type { StageFailed } from "../../../src/worker/stage-failed.ts"
import { openFolder } from "../../../src/worker/volume/folder.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { tarGz } from "../fake-task-api.ts"
import { podSettings } from "../pod-settings.ts"
import { seal } from "../seals.ts"

const workspace = WorkspaceName.make("demo")
const silent = Log.layer({ secrets: [], parts: [], ship: Option.none(), print: () => Effect.void })

/** Directories of a Pod that mounts the claim. */
const podWith = Effect.fnUntraced(function*(claim: string) {
  const place = yield* temporaryFolder("kept")
  const [work, privateDirectory] = [join(place, "work"), join(place, "private")]
  const engine = join(place, "engine")
  for (const directory of [work, privateDirectory, engine]) mkdirSync(directory)
  const settings = podSettings(place, privateDirectory, { AGENT_JOB_PLANS_DIR: claim })
  return { work, privateDirectory, engine, settings, root: yield* openFolder(work) }
})

/** Leaves the files of a plan as an engine would, and keeps the plan; returns its digest. */
const planned = Effect.fnUntraced(function*(claim: string, content = "plan", sealed: Seal = seal()) {
  const pod = yield* podWith(claim)
  writeFileSync(join(pod.privateDirectory, "configuration.tar.gz"), tarGz({ "main.tf": "# planned", ".terraform.lock.hcl": "# of Git" }))
  writeFileSync(join(pod.engine, "plan.tfplan"), content)
  writeFileSync(join(pod.work, ".terraform.lock.hcl"), "# the plan's")
  return yield* Effect.provide(keepPlan(workspace)({ root: pod.root, directory: [], path: pod.work }, sealed), pod.settings)
})

const applied = Effect.fnUntraced(
  function*(claim: string, sha256: Sha256): Effect.fn.Return<ReadonlyArray<string>, StageFailed, Scope.Scope> {
    const { engine, root, settings, work } = yield* podWith(claim)
    yield* bringPlannedSource(workspace, sha256)(root).pipe(
      Effect.andThen(bringKeptPlan({ root, directory: [], path: work })),
      Effect.provide(settings)
    )
    return [work, engine].flatMap((folder) =>
      readdirSync(folder).sort().map((name) => `${name}: ${readFileSync(join(folder, name), "utf8")}`)
    )
  }
)

/** Begins the apply of the plan, of which the engine would be next; returns the reason if it may not. */
const begun = Effect.fnUntraced(function*(claim: string, sha256: Sha256) {
  const { settings } = yield* podWith(claim)
  return yield* Effect.match(Effect.provide(beginKeptPlan(workspace, sha256), settings), {
    onFailure: ({ message, reason }) => ({ reason, message }),
    onSuccess: () => "begun" as const
  })
})

const keyOn = (claim: string, mayMake: boolean) =>
  Effect.flatMap(
    podWith(claim),
    ({ settings }) => Effect.map(Effect.provide(sealingKey(workspace, mayMake), settings), (key) => Buffer.from(key).toString("hex"))
  )

/** Until the scope closes, the file system refuses such calls with this code, after what somebody else does at that moment. */
const refusing = (call: "copyFileSync" | "fsyncSync" | "linkSync", code: string, meanwhile: (path: string) => void = () => undefined) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const spy = vi.spyOn(fs, call).mockImplementation((path: fs.PathLike | number) => {
        meanwhile(String(path))
        throw Object.assign(new Error(code), { code })
      })
      syncBuiltinESMExports()
      return spy
    }),
    (spy) =>
      Effect.sync(() => {
        spy.mockRestore()
        syncBuiltinESMExports()
      })
  )

describe("the key that variables are sealed with", () => {
  it.effect("is made by the first plan, and the same for all Pods", () =>
    Effect.gen(function*() {
      const claim = yield* temporaryFolder("claim")
      const keys = yield* Effect.all([1, 2, 3].map(() => keyOn(claim, true)), { concurrency: "unbounded" })
      expect(new Set([...keys, yield* keyOn(claim, false)]).size).toBe(1)
      expect(keys[0]).toMatch(/^[0-9a-f]{64}$/u)
      expect(readdirSync(join(claim, "demo"))).toEqual(["seal.key"])
      expect(statSync(join(claim, "demo/seal.key")).mode & 0o777).toBe(0o600)
    }))

  it.effect.each(["ENOTSUP", "EPERM"])("is made once, too, where the storage has no hard links (%s)", (code) =>
    Effect.gen(function*() {
      const claim = yield* temporaryFolder("claim")
      yield* refusing("linkSync", code)
      const keys = [yield* keyOn(claim, true), yield* keyOn(claim, true)]
      expect(keys[0]).toMatch(/^[0-9a-f]{64}$/u)
      expect(keys[1]).toBe(keys[0])
      expect(readdirSync(join(claim, "demo"))).toEqual(["seal.key"])
      expect(statSync(join(claim, "demo/seal.key")).mode & 0o777).toBe(0o600)
    }))

  it.effect("is the one of the Pod that was first, too, where the storage has no hard links", () =>
    Effect.gen(function*() {
      const claim = yield* temporaryFolder("claim")
      yield* refusing("linkSync", "EPERM", () => writeFileSync(join(claim, "demo/seal.key"), "k".repeat(32)))
      expect(Buffer.from(yield* keyOn(claim, true), "hex").toString()).toBe("k".repeat(32))
    }))

  it.effect("is never made anew by an apply", () =>
    Effect.gen(function*() {
      const claim = yield* temporaryFolder("claim")
      expect(yield* Effect.flip(keyOn(claim, false))).toMatchObject({
        reason: "DigestMismatch",
        message: expect.stringContaining("The key demo/seal.key on the claim is missing or damaged")
      })
      expect(readdirSync(claim)).toEqual([])
    }))

  it.effect.each(["", "k".repeat(31)])("is none that is too short to keep a secret, such as %j", (short) =>
    Effect.gen(function*() {
      const claim = yield* temporaryFolder("claim")
      mkdirSync(join(claim, "demo"))
      writeFileSync(join(claim, "demo/seal.key"), short)
      for (const mayMake of [true, false]) {
        expect(yield* Effect.flip(keyOn(claim, mayMake))).toMatchObject({
          reason: "DigestMismatch",
          message: expect.stringContaining("is missing or damaged")
        })
      }
    }))
})

/** What a hostile runner may leave on a claim that it mounts, though only workers should mount it. */
const plantings: ReadonlyArray<{ readonly kind: string; readonly plant: (path: string, elsewhere: string) => void }> = [
  { kind: "a named pipe", plant: (path) => void execFileSync("mkfifo", [path]) },
  { kind: "a link", plant: (path, elsewhere) => symlinkSync(elsewhere, path) },
  { kind: "a directory", plant: (path) => mkdirSync(path) }
]

describe("a claim that a runner has written to", () => {
  it.effect.each(plantings)("holds up no worker by $kind in the place of the key", ({ plant }) =>
    Effect.gen(function*() {
      const [claim, elsewhere] = [yield* temporaryFolder("claim"), join(yield* temporaryFolder("elsewhere"), "key")]
      writeFileSync(elsewhere, "k".repeat(32))
      mkdirSync(join(claim, "demo"))
      plant(join(claim, "demo/seal.key"), elsewhere)
      for (const mayMake of [true, false]) {
        expect(yield* Effect.flip(keyOn(claim, mayMake))).toMatchObject({
          reason: "DigestMismatch",
          message: expect.stringContaining("The key demo/seal.key on the claim is missing or damaged")
        })
      }
    }))

  it.effect.each(plantings)("holds up no worker by $kind in the place of a plan", ({ plant }) =>
    Effect.gen(function*() {
      const [claim, digest] = [yield* temporaryFolder("claim"), Sha256.make("b".repeat(64))]
      mkdirSync(join(claim, "demo"))
      plant(join(claim, "demo", `${digest}.tar`), "/etc/hostname")
      expect(yield* Effect.flip(applied(claim, digest))).toMatchObject({
        reason: "InvalidConfiguration",
        message: expect.stringContaining(`has no plan ${digest}`)
      })
    }))

  it.effect("leads no worker elsewhere by a link in the place of the folder", () =>
    Effect.gen(function*() {
      const [claim, elsewhere] = [yield* temporaryFolder("claim"), yield* temporaryFolder("elsewhere")]
      symlinkSync(elsewhere, join(claim, "demo"))
      expect(yield* Effect.flip(keyOn(claim, true))).toMatchObject({ reason: "InvalidConfiguration" })
      expect(yield* Effect.flip(planned(claim))).toMatchObject({ reason: "InvalidConfiguration" })
      expect(readdirSync(elsewhere)).toEqual([])
    }))

  it.effect("leads no worker to write elsewhere by a link where it writes the plan", () =>
    Effect.gen(function*() {
      const [claim, elsewhere] = [yield* temporaryFolder("claim"), join(yield* temporaryFolder("elsewhere"), "provider.zip")]
      writeFileSync(elsewhere, "the provider")
      const digest = yield* planned(claim)
      rmSync(join(claim, "demo", `${digest}.tar`))
      symlinkSync(elsewhere, join(claim, "demo", `${digest}.tar.new`))
      expect(yield* planned(claim)).toBe(digest)
      expect(readFileSync(elsewhere, "utf8")).toBe("the provider")
      expect(yield* applied(claim, digest)).toContain("plan.tfplan: plan")
    }))

  it.effect("gets no file of the worker by a link in the place of the key where the storage has no hard links", () =>
    Effect.gen(function*() {
      const [claim, token] = [yield* temporaryFolder("claim"), join(yield* temporaryFolder("elsewhere"), "token")]
      writeFileSync(token, "t".repeat(32))
      yield* refusing("linkSync", "EPERM", (aside) => {
        rmSync(aside)
        symlinkSync(token, aside)
      })
      yield* keyOn(claim, true)
      expect(readFileSync(join(claim, "demo/seal.key"), "latin1")).not.toBe("t".repeat(32))
    }))
})

describe("a kept plan", () => {
  it.effect("comes with the configuration that was planned and its own lock file", () =>
    Effect.gen(function*() {
      const claim = yield* temporaryFolder("claim")
      const digest = yield* planned(claim)
      expect(readdirSync(join(claim, "demo"))).toEqual([`${digest}.tar`])
      expect(yield* applied(claim, digest)).toEqual([".terraform.lock.hcl: # the plan's", "main.tf: # planned", "plan.tfplan: plan"])
    }))

  it.effect("comes with what was packed beside it, and leaves nothing of an earlier plan's", () =>
    Effect.gen(function*() {
      const [claim, plan, apply] = [yield* temporaryFolder("claim"), yield* temporaryFolder("plan"), yield* temporaryFolder("apply")]
      const podOn = (place: string) => {
        for (const name of ["work", "private", "engine"]) mkdirSync(join(place, name), { recursive: true })
        return podSettings(place, join(place, "private"), { AGENT_JOB_PLANS_DIR: claim })
      }
      const keep = Effect.gen(function*() {
        const root = yield* openFolder(join(plan, "work"))
        const provisioned = { root, directory: [], path: join(plan, "work") }
        yield* packCarried(provisioned, yield* marksOf(root), new Map())
        return yield* keepPlan(workspace)(provisioned, seal())
      }).pipe(Effect.provide(Layer.provideMerge(silent, podOn(plan))))
      const bring = Effect.fnUntraced(function*(digest: Sha256) {
        const root = yield* openFolder(join(apply, "work"))
        yield* bringPlannedSource(workspace, digest)(root)
        yield* bringKeptPlan({ root, directory: [], path: join(apply, "work") })
      }, Effect.provide(podOn(apply)))
      writeFileSync(join(plan, "private/configuration.tar.gz"), tarGz({ "main.tf": "# planned" }))
      mkdirSync(join(plan, "engine/modules/m"), { recursive: true })
      writeFileSync(join(plan, "engine/plan.tfplan"), "plan")
      writeFileSync(join(plan, "engine/modules/m/run.sh"), "echo one")
      yield* bring(yield* keep)
      expect(readFileSync(join(apply, "engine/modules/m/run.sh"), "utf8")).toBe("echo one")

      for (const gone of [join(plan, "engine/modules"), join(apply, "engine/modules"), join(apply, "work/main.tf")]) {
        rmSync(gone, { recursive: true })
      }
      yield* bring(yield* keep)
      expect(readdirSync(join(apply, "engine"))).toEqual(["plan.tfplan"])
    }))

  it.effect("is applied once, though another apply of it was as far, or comes later, whatever has become of the state", () =>
    Effect.gen(function*() {
      const claim = yield* temporaryFolder("claim")
      const [digest, other] = [yield* planned(claim), yield* planned(claim, "another plan")]
      yield* applied(claim, digest)
      yield* applied(claim, digest) // which has not begun, and may have been refused for its seal
      const ends = yield* Effect.all([1, 2, 3].map(() => begun(claim, digest)), { concurrency: "unbounded" })
      const refused = {
        reason: "InvalidConfiguration",
        message:
          `An apply of the plan ${digest} of workspace demo has begun, or was about to, and a plan is applied once: look at what came of it, then plan again, and approve that plan.`
      }
      expect(ends).toEqual(["begun", refused, refused])
      expect(yield* Effect.flip(applied(claim, digest))).toMatchObject(refused)
      expect(yield* applied(claim, other)).toContain("plan.tfplan: another plan")
      expect(readdirSync(join(claim, "demo")).sort()).toEqual([`${digest}.begun.tar`, `${other}.tar`].sort())
    }))

  it.effect("does not begin where it was taken away meanwhile, or cannot be noted", () =>
    Effect.gen(function*() {
      const claim = yield* temporaryFolder("claim")
      const digest = yield* planned(claim)
      mkdirSync(join(claim, "demo", `${digest}.begun.tar`)) // what no file can take the place of
      expect(yield* begun(claim, digest)).toMatchObject({ message: expect.stringContaining("the claim of the plan") })
      rmSync(join(claim, "demo", `${digest}.tar`))
      expect(yield* begun(claim, digest)).toMatchObject({ message: expect.stringContaining(`The claim has no plan ${digest}`) })
    }))

  it.effect("does not begin before the disk has the note that it did, which would go with the node", () =>
    Effect.gen(function*() {
      const claim = yield* temporaryFolder("claim")
      const digest = yield* planned(claim)
      const flushed: Array<string> = []
      yield* refusing("fsyncSync", "EIO", () => void flushed.push(...readdirSync(join(claim, "demo"))))
      expect(yield* begun(claim, digest)).toMatchObject({ message: expect.stringContaining("the claim of the plan") })
      expect(flushed).toEqual([`${digest}.begun.tar`])
    }))

  it.effect("is refused when a byte of it is another, whatever its name", () =>
    Effect.gen(function*() {
      const claim = yield* temporaryFolder("claim")
      const digest = yield* planned(claim)
      appendFileSync(join(claim, "demo", `${digest}.tar`), "x")
      expect(yield* Effect.flip(applied(claim, digest))).toMatchObject({
        reason: "DigestMismatch",
        message: expect.stringContaining(digest)
      })
    }))

  it.effect("is refused if its seal does not say where its state goes", () =>
    Effect.gen(function*() {
      const claim = yield* temporaryFolder("claim")
      const { backend: _, ...unplaced } = seal()
      expect(yield* Effect.flip(applied(claim, yield* planned(claim, "plan", unplaced)))).toMatchObject({
        reason: "DigestMismatch",
        message:
          "The saved plan does not say where its state is, so its apply could write that where nobody approved it; plan again and approve that plan."
      })
    }))

  it.effect("is missed with a sentence that says what to do", () =>
    Effect.gen(function*() {
      const digest = Sha256.make("b".repeat(64))
      expect(yield* Effect.flip(applied(yield* temporaryFolder("claim"), digest))).toMatchObject({
        reason: "InvalidConfiguration",
        message: `The claim has no plan ${digest} of workspace demo; plan again, and approve that plan.`
      })
    }))

  it.effect("pushes out the oldest when its workspace has many", () =>
    Effect.gen(function*() {
      const claim = yield* temporaryFolder("claim")
      const oldest = yield* planned(claim)
      utimesSync(join(claim, "demo", `${oldest}.tar`), 0, 0)
      yield* keyOn(claim, true)
      utimesSync(join(claim, "demo", "seal.key"), 0, 0)
      for (let number = 0; number < 19; number++) writeFileSync(join(claim, "demo", `${number}.tar`), "")
      const newest = yield* planned(claim, "another plan")
      const names = readdirSync(join(claim, "demo"))
      expect(names.filter((name) => name !== "seal.key")).toHaveLength(20)
      expect(names).toContain("seal.key")
      expect(names).toContain(`${newest}.tar`)
      expect(names).not.toContain(`${oldest}.tar`)
    }))

  it.effect("stays, though the clocks of the nodes that kept the others were ahead, and is the last to go", () =>
    Effect.gen(function*() {
      const claim = yield* temporaryFolder("claim")
      const tomorrow = Date.now() / 1000 + 86_400
      mkdirSync(join(claim, "demo"))
      for (let number = 0; number < 20; number++) {
        writeFileSync(join(claim, "demo", `${number}.tar`), "")
        utimesSync(join(claim, "demo", `${number}.tar`), tomorrow, tomorrow)
      }
      const first = yield* planned(claim)
      const second = yield* planned(claim, "another plan")
      const names = readdirSync(join(claim, "demo"))
      expect(names).toHaveLength(20)
      expect(names).toEqual(expect.arrayContaining([`${first}.tar`, `${second}.tar`]))
    }))

  it.effect("that does not fit leaves nothing, and has made room: of the oldest, and of what a worker that was killed left long ago", () =>
    Effect.gen(function*() {
      const claim = yield* temporaryFolder("claim")
      const digest = yield* planned(claim)
      for (let number = 0; number < 19; number++) writeFileSync(join(claim, "demo", `${number}.tar`), "")
      const ages = { "0.tar": 120, "killed.tar.new": 61, ".seal.key.0a1b": 61, "at-work.tar.new": 59 }
      for (const [name, minutes] of Object.entries(ages)) {
        writeFileSync(join(claim, "demo", name), "")
        utimesSync(join(claim, "demo", name), (120 - minutes) * 60, (120 - minutes) * 60)
      }
      yield* TestClock.adjust("2 hours")
      rmSync(join(claim, "demo", `${digest}.tar`))
      writeFileSync(join(claim, "demo", "19.tar"), "")
      yield* refusing("copyFileSync", "ENOSPC")
      expect(yield* Effect.flip(planned(claim))).toMatchObject({ reason: "DiskFull" })
      const names = readdirSync(join(claim, "demo"))
      expect(names.filter((name) => name.endsWith(".tar"))).toHaveLength(19)
      expect(names.filter((name) => !name.endsWith(".tar"))).toEqual(["at-work.tar.new"])
      expect(names).not.toContain("0.tar")
    }))

  it.effect("is kept beside old things that are none of ours, which stay", () =>
    Effect.gen(function*() {
      const claim = yield* temporaryFolder("claim")
      const others = [".snapshot", "directory.tar.new", ".nfs0001"]
      for (const name of others.slice(0, 2)) mkdirSync(join(claim, "demo", name), { recursive: true })
      writeFileSync(join(claim, "demo", ".nfs0001"), "")
      for (const name of others) utimesSync(join(claim, "demo", name), 0, 0)
      yield* TestClock.adjust("2 hours")
      const digest = yield* planned(claim)
      expect(readdirSync(join(claim, "demo")).sort()).toEqual([...others, `${digest}.tar`].sort())
    }))

  it.effect("is kept beside what another Pod takes away meanwhile", () =>
    Effect.gen(function*() {
      const claim = yield* temporaryFolder("claim")
      yield* planned(claim)
      symlinkSync("gone", join(claim, "demo", "listed-but-gone.tar"))
      const digest = yield* planned(claim, "another plan")
      expect(readdirSync(join(claim, "demo"))).toContain(`${digest}.tar`)
    }))
})
