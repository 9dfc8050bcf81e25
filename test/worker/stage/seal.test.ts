// What of a directory and a task goes into a seal, and what nobody can learn from the seal.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { chmodSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { sealText } from "../../../src/core/stage/seal.ts"
import { sealOf, unbroken } from "../../../src/worker/stage/seal.ts"
import type { Variables } from "../../../src/worker/stage/variables.ts"
import { openFolder } from "../../../src/worker/volume/folder.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { podSettings } from "../pod-settings.ts"
import { turnsDuring } from "../turns-during.ts"

const variables: Variables = {
  inputs: [{ name: "region", value: "eu", hcl: false }, { name: "db_password", value: "hunter2", hcl: false }],
  env: { TOKEN: "hunter2" },
  secrets: ["hunter2"],
  parts: [],
  declared: [],
  shown: []
}
const key = Buffer.alloc(32, 1)

/** A directory as it is after a plan, and a function that seals it. */
const planned = Effect.gen(function*() {
  const place = yield* temporaryFolder("seal")
  for (const name of ["work/live", "private", "engine/modules/vpc"]) mkdirSync(join(place, name), { recursive: true })
  writeFileSync(join(place, "private/configuration.tar.gz"), "archive")
  writeFileSync(join(place, "engine/plan.tfplan"), "plan")
  writeFileSync(join(place, "work/live/.terraform.lock.hcl"), "lock")
  writeFileSync(join(place, "engine/modules/modules.json"), "{}")
  writeFileSync(join(place, "engine/modules/vpc/run.sh"), "echo one")
  symlinkSync("run.sh", join(place, "engine/modules/vpc/link"))
  const root = yield* openFolder(join(place, "work"))
  const sealed = (more: Partial<Variables> = {}, sealingKey: Uint8Array = key, backend: Option.Option<string> = Option.none()) =>
    sealOf({ root, directory: ["live"], path: join(place, "work/live") }, { name: "tofu", version: "1.12.6" }, { ...variables, ...more }, {
      key: Effect.succeed(sealingKey),
      state: Effect.succeed({ lineage: "one", serial: 4 }),
      backend: Effect.succeed(backend)
    })
      .pipe(Effect.provide(podSettings(place, join(place, "private"))))
  return { place, sealed }
})

describe("the seal of a directory", () => {
  it.effect("is the same again while nothing changes", () =>
    Effect.gen(function*() {
      const { sealed } = yield* planned
      const first = yield* sealed()
      expect(first).toMatchObject({ directory: "live", state: { lineage: "one", serial: 4 }, engine: { name: "tofu", version: "1.12.6" } })
      yield* unbroken(first, yield* sealed())
      expect(sealText(yield* sealed())).toBe(sealText(first))
    }))

  it.effect.each([
    { file: "private/configuration.tar.gz", words: "another configuration archive" },
    { file: "engine/plan.tfplan", words: "another plan file" },
    { file: "work/live/.terraform.lock.hcl", words: "another provider lock file" }
  ])("is broken by another byte of $file", ({ file, words }) =>
    Effect.gen(function*() {
      const { place, sealed } = yield* planned
      const first = yield* sealed()
      writeFileSync(join(place, file), "plan!")
      expect(yield* Effect.flip(unbroken(first, yield* sealed()))).toMatchObject({
        reason: "DigestMismatch",
        message: `The saved plan was made with ${words} than this apply would get; plan again.`
      })
    }))

  it.effect.each<{ readonly change: string; readonly make: (modules: string) => void; readonly words: string }>([
    { change: "another byte of a file", make: (modules) => writeFileSync(join(modules, "vpc/run.sh"), "echo two"), words: "vpc" },
    { change: "a file that became a program", make: (modules) => chmodSync(join(modules, "vpc/run.sh"), 0o755), words: "vpc" },
    { change: "a file more", make: (modules) => writeFileSync(join(modules, "vpc/more"), ""), words: "vpc" },
    {
      change: "a file more whose name is not UTF-8",
      make: (modules) => writeFileSync(Buffer.from(join(modules, "vpc/caf\u00e9"), "latin1"), ""),
      words: "vpc"
    },
    {
      change: "a link that leads elsewhere",
      make: (modules) => {
        rmSync(join(modules, "vpc/link"))
        symlinkSync("more", join(modules, "vpc/link"))
      },
      words: "vpc"
    },
    {
      change: "a module more",
      make: (modules) => {
        mkdirSync(join(modules, "vpc.inner"))
        writeFileSync(join(modules, "vpc.inner/main.tf"), "")
        writeFileSync(join(modules, "modules.json"), "{ }")
      },
      words: "modules.json, vpc.inner"
    }
  ])("is broken by $change among the modules", ({ make, words }) =>
    Effect.gen(function*() {
      const { place, sealed } = yield* planned
      const first = yield* sealed()
      make(join(place, "engine/modules"))
      expect(yield* Effect.flip(unbroken(first, yield* sealed()))).toMatchObject({
        reason: "DigestMismatch",
        message: `The saved plan was made with other modules (${words}) than this apply would get; plan again.`
      })
    }))

  it.effect("is the same whatever the history of a module's checkout", () =>
    Effect.gen(function*() {
      const { place, sealed } = yield* planned
      const first = yield* sealed()
      mkdirSync(join(place, "engine/modules/vpc/.git"))
      writeFileSync(join(place, "engine/modules/vpc/.git/index"), "never the same twice")
      yield* unbroken(first, yield* sealed())
    }))

  it.effect("is broken by a lock file that came or went, or became a link", () =>
    Effect.gen(function*() {
      const { place, sealed } = yield* planned
      const first = yield* sealed()
      rmSync(join(place, "work/live/.terraform.lock.hcl"))
      expect((yield* sealed()).lockFile).toBe(null)
      symlinkSync(join(place, "private/configuration.tar.gz"), join(place, "work/live/.terraform.lock.hcl"))
      expect(yield* Effect.flip(unbroken(first, yield* sealed()))).toMatchObject({
        message: expect.stringContaining("another provider lock file")
      })
    }))

  it.effect("is broken by another value, kind or place of a variable", () =>
    Effect.gen(function*() {
      const { sealed } = yield* planned
      const first = yield* sealed()
      const broken = (more: Partial<Variables>) =>
        Effect.flatMap(sealed(more), (now) => Effect.map(Effect.flip(unbroken(first, now)), ({ message }) => message))
      const [region, password] = [{ name: "region", value: "eu", hcl: false }, { name: "db_password", value: "hunter2", hcl: false }]
      expect(yield* broken({ inputs: [{ ...region, hcl: true }, password] })).toContain("other variables (region)")
      expect(yield* broken({ inputs: [region, { ...password, value: "hunter3" }] })).toContain("other variables (db_password)")
      expect(yield* broken({ inputs: [region] })).toContain("other variables (db_password)")
      expect(yield* broken({ env: { TOKEN: "hunter3" } })).toContain("other environment variables (TOKEN)")
      expect(yield* broken({ inputs: [region, password, { name: "TOKEN", value: "hunter2", hcl: false }], env: {} })).toContain(
        "other variables (TOKEN) and other environment variables (TOKEN)"
      )
      // The later one of two values counts, as it does for the engine.
      yield* unbroken(first, yield* sealed({ inputs: [{ ...region, value: "us" }, password, region] }))
    }))

  it.effect("is broken by another backend, once init has told of it, and shows none of it", () =>
    Effect.gen(function*() {
      const { sealed } = yield* planned
      const withBackend = (text: string, sealingKey = key) => sealed({}, sealingKey, Option.some(text))
      const first = yield* withBackend("hunter2 at one")
      yield* unbroken(first, yield* withBackend("hunter2 at one"))
      yield* unbroken(first, yield* sealed()) // before init
      for (const other of [first, yield* sealed()]) {
        expect(yield* Effect.flip(unbroken(other, yield* withBackend("hunter2 at two")))).toMatchObject({
          reason: "DigestMismatch",
          message: "The saved plan was made with another backend of the state than this apply would get; plan again."
        })
      }
      expect(sealText(first)).not.toContain("hunter2")
      expect((yield* withBackend("hunter2 at one", Buffer.alloc(32, 2))).backend).not.toBe(first.backend)
    }))

  it.effect("shows no value, nor that two are the same, and means nothing without its key", () =>
    Effect.gen(function*() {
      const { sealed } = yield* planned
      const same = {
        inputs: ["a", "b"].map((name) => ({ name, value: "hunter2", hcl: false })),
        env: { A: "hunter2", B: "hunter2" }
      }
      const first = yield* sealed(same)
      expect(sealText(first)).not.toContain("hunter2")
      expect(new Set(Object.values({ ...first.environment, ...first.variables })).size).toBe(4)
      expect((yield* sealed(same, Buffer.alloc(32, 2))).variables.a).not.toBe(first.variables.a)
    }))

  it.effect("is not made without a plan, nor of files of any size", () =>
    Effect.gen(function*() {
      const { place, sealed } = yield* planned
      truncateSync(join(place, "work/live/.terraform.lock.hcl"), 1024 ** 4) // a sparse file, which takes no space on the disk
      expect(yield* Effect.flip(sealed())).toMatchObject({ reason: "InvalidConfiguration", message: expect.stringContaining("256 MiB") })
      rmSync(join(place, "engine/plan.tfplan"))
      rmSync(join(place, "work/live/.terraform.lock.hcl"))
      expect(yield* Effect.flip(sealed())).toMatchObject({
        reason: "InvalidConfiguration",
        message: "There is no plan file of the engine, and without it no plan can be saved or applied; plan again."
      })
    }))

  it.effect.each<{ readonly modules: string; readonly make: (vpc: string) => void; readonly why: string }>([
    {
      modules: "of any size",
      make: (vpc) => {
        for (const name of ["one", "two"]) {
          writeFileSync(join(vpc, name), "")
          truncateSync(join(vpc, name), 2 * 1024 ** 3) // sparse files, which take no space on the disk
        }
      },
      why: "they have more than 4096 MiB"
    },
    {
      modules: "as deep as there may be directories",
      make: (vpc) => mkdirSync(join(vpc, "d/".repeat(70)), { recursive: true }),
      why: `they hold "vpc/${Array(63).fill("d").join("/")}", which is too deep`
    }
  ])("is not made of modules $modules, which a program that planning left behind may make", ({ make, why }) =>
    Effect.gen(function*() {
      const { place, sealed } = yield* planned
      make(join(place, "engine/modules/vpc"))
      expect(yield* Effect.flip(sealed())).toMatchObject({
        reason: "InvalidConfiguration",
        message:
          `The modules of the configuration cannot be kept with the plan, because ${why}; leave out of them what the configuration does not need.`
      })
    }))

  it.live("lets everything else go on while a large module is read", () =>
    Effect.gen(function*() {
      const { place, sealed } = yield* planned
      truncateSync(join(place, "engine/modules/vpc/run.sh"), 64 * 1024 ** 2)
      expect((yield* turnsDuring(sealed())).turns).toBeGreaterThan(100)
    }))
})
