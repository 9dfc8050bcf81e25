// The saved plan between two Pods: what one packs, the other unpacks.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Tar } from "effect/encoding"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { packPlan, unpackPlan } from "../../../src/worker/backing/saved-plan.ts"
import { openFolder } from "../../../src/worker/volume/folder.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { podSettings } from "../pod-settings.ts"
import { seal } from "../seals.ts"

const place = Effect.map(temporaryFolder("plan"), (made) => {
  for (const name of ["one/sub", "one/engine", "other/sub", "other/engine", "private"]) mkdirSync(join(made, name), { recursive: true })
  return made
})

const packed = Effect.fnUntraced(function*(directory: string) {
  return yield* Effect.provide(
    packPlan({ root: yield* openFolder(join(directory, "one")), directory: ["sub"] }, join(directory, "plan.tar"), seal()),
    podSettings(join(directory, "one"), join(directory, "private"))
  )
})
const unpacked = Effect.fnUntraced(function*(directory: string) {
  return yield* Effect.provide(
    unpackPlan({ root: yield* openFolder(join(directory, "other")), directory: ["sub"] }, join(directory, "plan.tar")),
    podSettings(join(directory, "other"), join(directory, "private"))
  )
})

describe("a saved plan", () => {
  it.effect("arrives with its seal and its lock file, in place of the one that is there", () =>
    Effect.gen(function*() {
      const directory = yield* place
      writeFileSync(join(directory, "one/engine/plan.tfplan"), Buffer.alloc(300_000, 7))
      writeFileSync(join(directory, "one/sub/.terraform.lock.hcl"), "# the plan's")
      writeFileSync(join(directory, "other/sub/.terraform.lock.hcl"), "# the archive's, which is longer")
      const digest = yield* packed(directory)
      expect(digest).toBe(createHash("sha256").update(readFileSync(join(directory, "plan.tar"))).digest("hex"))
      expect(yield* unpacked(directory)).toEqual(seal())
      expect(readFileSync(join(directory, "other/engine/plan.tfplan"))).toEqual(Buffer.alloc(300_000, 7))
      expect(readFileSync(join(directory, "other/sub/.terraform.lock.hcl"), "utf8")).toBe("# the plan's")
      expect(statSync(join(directory, "other/engine/plan.tfplan")).mode & 0o777).toBe(0o660)
      expect(statSync(join(directory, "other/sub/.terraform.lock.hcl")).mode & 0o777).toBe(0o664)
    }))

  it.effect("puts its lock file in the place of a link that the archive has there, as the engine did, and leaves what that leads to", () =>
    Effect.gen(function*() {
      const directory = yield* place
      writeFileSync(join(directory, "one/engine/plan.tfplan"), "plan")
      writeFileSync(join(directory, "one/sub/.terraform.lock.hcl"), "# the plan's")
      writeFileSync(join(directory, "other/shared.lock.hcl"), "# for all directories")
      symlinkSync("../shared.lock.hcl", join(directory, "other/sub/.terraform.lock.hcl"))
      yield* packed(directory)
      yield* unpacked(directory)
      expect(readFileSync(join(directory, "other/sub/.terraform.lock.hcl"), "utf8")).toBe("# the plan's")
      expect(readFileSync(join(directory, "other/shared.lock.hcl"), "utf8")).toBe("# for all directories")
    }))

  it.effect("grows by less than is left for it where it is packed", () =>
    Effect.gen(function*() {
      const directory = yield* place
      writeFileSync(join(directory, "one/engine/plan.tfplan"), "p")
      writeFileSync(join(directory, "one/sub/.terraform.lock.hcl"), "#")
      yield* packed(directory)
      expect(statSync(join(directory, "plan.tar")).size).toBeLessThan(16 * 1024)
    }))

  it.effect("needs no lock file", () =>
    Effect.gen(function*() {
      const directory = yield* place
      writeFileSync(join(directory, "one/engine/plan.tfplan"), "plan")
      yield* packed(directory)
      yield* unpacked(directory)
      expect([readdirSync(join(directory, "other/sub")), readdirSync(join(directory, "other/engine"))]).toEqual([[], ["plan.tfplan"]])
    }))

  it.effect.each([
    { given: "a lock file of any size", plan: 4, lock: 1024 ** 4 },
    { given: "a lock file that the server would take alone, but not with the plan", plan: 200 * 1024 ** 2, lock: 60 * 1024 ** 2 }
  ])("is not packed with $given", ({ lock, plan }) =>
    Effect.gen(function*() {
      const directory = yield* place
      for (const [name, size] of [["engine/plan.tfplan", plan], ["sub/.terraform.lock.hcl", lock]] as const) {
        writeFileSync(join(directory, "one", name), "")
        truncateSync(join(directory, "one", name), size) // a sparse file, which takes no space on the disk
      }
      expect(yield* Effect.flip(packed(directory))).toMatchObject({
        reason: "InvalidConfiguration",
        message: expect.stringContaining("256 MiB")
      })
      expect(existsSync(join(directory, "plan.tar"))).toBe(false)
    }))

  it.effect("is none when there is a link instead, to whatever", () =>
    Effect.gen(function*() {
      const directory = yield* place
      writeFileSync(join(directory, "token"), "secret")
      symlinkSync(join(directory, "token"), join(directory, "one/engine/plan.tfplan"))
      expect(yield* Effect.flip(packed(directory))).toMatchObject({ reason: "InvalidConfiguration" })
      expect(existsSync(join(directory, "plan.tar"))).toBe(false)
    }))

  it.effect.each([
    { given: "none", content: undefined },
    { given: "one of another version", content: JSON.stringify({ ...seal(), version: 2 }) },
    { given: "one without a part", content: JSON.stringify({ ...seal(), state: undefined }) },
    { given: "one with a part that only a newer version compares", content: JSON.stringify({ ...seal(), registry: "9".repeat(64) }) },
    { given: "no JSON", content: "seal" }
  ])("is refused when its seal is $given", ({ content }) =>
    Effect.gen(function*() {
      const directory = yield* place
      const entries = [Tar.file("plan.tfplan", "plan"), ...(content === undefined ? [] : [Tar.file("seal.json", content)])]
      const chunks = yield* Stream.runCollect(Stream.fromIterable(entries).pipe(Stream.pipeThroughChannel(Tar.encode())))
      writeFileSync(join(directory, "plan.tar"), Buffer.concat(chunks))
      writeFileSync(join(directory, "private/seal.json"), JSON.stringify(seal())) // of an earlier plan
      expect(yield* Effect.flip(unpacked(directory))).toMatchObject({
        reason: "DigestMismatch",
        message:
          "The saved plan has no seal that this version knows in full, so it is not certain what it was made with; plan again with this version and approve that plan."
      })
    }))

  it.effect.each([
    { given: "another name", entry: Tar.file("main.tf", "x") },
    { given: "a path", entry: Tar.file("../plan.tfplan", "x") },
    { given: "another archive", entry: Tar.file("more.tar.gz", "x") },
    { given: "a configuration, which comes with no plan of a pool", entry: Tar.file("configuration.tar.gz", "x") },
    { given: "modules that are no archive", entry: Tar.file("modules.tar.gz", "x") },
    { given: "a link", entry: Tar.symlink("plan.tfplan", "/etc/passwd") },
    {
      given: "more header records than a packer writes",
      entry: Tar.file("plan.tfplan", "x", { pax: Object.fromEntries(Array.from({ length: 1001 }, (_, at) => [`key${at}`, "1"])) })
    }
  ])("is refused with $given in it", ({ entry }) =>
    Effect.gen(function*() {
      const directory = yield* place
      const entries = Stream.make(Tar.file("seal.json", JSON.stringify(seal())), entry)
      const chunks = yield* Stream.runCollect(entries.pipe(Stream.pipeThroughChannel(Tar.encode())))
      writeFileSync(join(directory, "plan.tar"), Buffer.concat(chunks))
      expect(yield* Effect.flip(unpacked(directory))).toMatchObject({
        reason: "DigestMismatch",
        message: "The saved plan is not one that this program made; plan again and approve that plan."
      })
      expect(readdirSync(join(directory, "other/sub"))).toEqual([])
    }))
})
