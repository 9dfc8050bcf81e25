// What one Pod packs beside a plan, another one gets: every file as it was, and nothing that cannot be put back.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { randomBytes } from "node:crypto"
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync
} from "node:fs"
import { dirname, join } from "node:path"
import { bringCarried, marksOf, marksOfModules, packCarried } from "../../../src/worker/backing/carried-files.ts"
import { Log } from "../../../src/worker/engine/log-shipper.ts"
import { openFolder } from "../../../src/worker/volume/folder.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { asWorker } from "../as-worker.ts"
import { podSettings } from "../pod-settings.ts"
import { writtenBelow } from "../written-below.ts"

/** The directories of a Pod, and functions that write below its data directory, pack and unpack. */
const podAt = Effect.gen(function*() {
  const place = yield* temporaryFolder("carried")
  const [data, privateDirectory] = [join(place, "data"), join(place, "private")]
  for (const directory of [join(data, "work/live"), join(data, "engine"), privateDirectory]) mkdirSync(directory, { recursive: true })
  const { at, write } = writtenBelow(data)
  write("engine/plan.tfplan", "plan")
  const told: Array<string> = []
  const log = Log.layer({
    secrets: [],
    parts: [],
    ship: Option.none(),
    print: (bytes) => Effect.sync(() => void told.push(Buffer.from(bytes).toString("utf8").trim()))
  })
  const settings = Layer.provideMerge(log, podSettings(data, privateDirectory))
  const root = yield* openFolder(join(data, "work"))
  const configuration = { root, directory: ["live"], path: join(data, "work/live") }
  return {
    data,
    privateDirectory,
    at,
    write,
    told: () => told.filter((line) => line !== ""),
    pack: Effect.provide(packCarried(configuration, new Map(), new Map()), settings),
    /** Packs what `planning` leaves in the configuration and its modules. */
    packAfter: (planning: () => void) =>
      Effect.gen(function*() {
        const [before, modules] = [yield* marksOf(root), yield* marksOfModules]
        planning()
        yield* packCarried(configuration, before, modules)
      }).pipe(Effect.provide(settings)),
    unpack: Effect.provide(bringCarried(root), settings)
  }
})

const moduleArchive = "modules.tar.gz"

describe("the modules of a plan", () => {
  it.effect("are as they were for its apply, without the history that a checkout has", () =>
    Effect.gen(function*() {
      const [plan, apply] = [yield* podAt, yield* podAt]
      plan.write("engine/modules/modules.json", `{"Modules":[]}`)
      plan.write("engine/modules/m/main.tf", "# m")
      plan.write("engine/modules/m/deep/run.sh", "echo one", 0o755)
      plan.write("engine/modules/m/.git/HEAD", "ref")
      plan.write("engine/modules/m.inner/.gitignore", "x")
      symlinkSync("../deep/run.sh", plan.at("engine/modules/m/links/run.sh"))
      symlinkSync("/opt/modules/vpc", plan.at("engine/modules/vpc")) // as the engine makes one for a module at an absolute path
      plan.write("engine/terraform.tfstate", "no module")
      yield* plan.pack
      writeFileSync(join(apply.privateDirectory, moduleArchive), readFileSync(join(plan.privateDirectory, moduleArchive)))
      apply.write("engine/modules/modules.json", "# what came with the configuration, and is longer than what replaces it")
      yield* apply.unpack
      expect(readdirSync(join(apply.data, "engine"), { recursive: true }).sort()).toEqual([
        "modules",
        "modules/m",
        "modules/m.inner",
        "modules/m.inner/.gitignore",
        "modules/m/deep",
        "modules/m/deep/run.sh",
        "modules/m/links",
        "modules/m/links/run.sh",
        "modules/m/main.tf",
        "modules/modules.json",
        "modules/vpc",
        "plan.tfplan"
      ])
      const modules = join(apply.data, "engine/modules")
      expect(readFileSync(join(modules, "modules.json"), "utf8")).toBe(`{"Modules":[]}`)
      expect(readFileSync(join(modules, "m/links/run.sh"), "utf8")).toBe("echo one")
      expect(readlinkSync(join(modules, "vpc"))).toBe("/opt/modules/vpc")
      expect(lstatSync(join(modules, "m/deep/run.sh")).mode & 0o777).toBe(0o775)
      expect(lstatSync(join(modules, "m/main.tf")).mode & 0o777).toBe(0o664)
    }))

  it.effect("are named to who approves the plan where planning changed or made one of their files", () =>
    Effect.gen(function*() {
      const here = yield* podAt
      for (const name of ["main.tf", "run.sh"]) here.write(`engine/modules/m/${name}`, "brought")
      here.write("engine/modules/m/.git/HEAD", "ref")
      yield* here.packAfter(() => {
        here.write("engine/modules/m/run.sh", "planned")
        here.write("engine/modules/m/.git/HEAD", "fer")
        here.write("engine/modules/m/lambda.zip", "zip")
      })
      expect(here.told()).toEqual([
        "Planning changed these files of the configuration, and its apply gets them as they are now: .terraform/modules/m/run.sh",
        "Kept with the plan for its apply, since planning made them: .terraform/modules/m/lambda.zip"
      ])
    }))

  it.effect("refuse the plan in one sentence when there is no room for them in its package", () =>
    Effect.gen(function*() {
      const here = yield* podAt
      truncateSync(here.at("engine/plan.tfplan"), 253 * 1024 ** 2)
      here.write("engine/modules/m/random", randomBytes(3 * 1024 ** 2))
      expect(yield* Effect.flip(here.pack)).toMatchObject({
        reason: "InvalidConfiguration",
        message:
          "The modules of the configuration cannot be kept with the plan, because packed they have more than 1 MiB, which is what the plan leaves of 256 MiB; leave out of them what the configuration does not need."
      })
      expect(existsSync(join(here.privateDirectory, moduleArchive))).toBe(false)
    }))

  it.effect("are no archive if there are none", () =>
    Effect.gen(function*() {
      const here = yield* podAt
      here.write("engine/modules/a/main.tf", "a")
      yield* here.pack
      rmSync(join(here.data, "engine/modules"), { recursive: true })
      yield* here.pack
      expect(existsSync(join(here.privateDirectory, moduleArchive))).toBe(false)
    }))

  it.effect("are read through no link that the runner has put in the way", () =>
    Effect.gen(function*() {
      const here = yield* podAt
      mkdirSync(join(here.privateDirectory, "modules"))
      writeFileSync(join(here.privateDirectory, "modules/token"), "secret")
      symlinkSync(join(here.privateDirectory, "modules"), join(here.data, "engine/modules"))
      yield* here.pack
      expect(existsSync(join(here.privateDirectory, moduleArchive))).toBe(false)
    }))
})

const madeFiles = "made.tar.gz"

describe("what planning made in the configuration", () => {
  it.effect("is there for the apply, beside what came with the archive", () =>
    Effect.gen(function*() {
      const [plan, apply] = [yield* podAt, yield* podAt]
      for (const { write } of [plan, apply]) {
        for (const name of ["main.tf", "build.sh", "zzz_agent_job.auto.tfvars", "old.txt"]) write(`work/live/${name}`, `# ${name}`)
        write("work/live/.terraform/modules/m/main.tf", "# uploaded")
      }
      yield* plan.packAfter(() => {
        plan.write("work/live/lambda.zip", "zip")
        plan.write("work/live/builds/deep/prepare.sh", "echo", 0o755)
        mkdirSync(join(plan.data, "work/live/empty"))
        symlinkSync("lambda.zip", plan.at("work/live/latest.zip"))
        plan.write("work/shared.json", "{}")
        plan.write("work/live/build.sh", "# BUILD.SH") // as long as it was
        for (const made of ["archive_files/lambda.zip", "modules/m/made.zip"]) plan.write(`work/live/.terraform/${made}`, "zip")
        const variables = ["zzz_agent_job.auto.tfvars", "é.auto.tfvars.zzz_agent_job.auto.tfvars"]
        for (const ours of [".terraform.lock.hcl", ...variables, "zzzz_agent_job_override.tf"]) {
          plan.write(`work/live/${ours}`, "of planning")
        }
        for (const data of [".terraform/providers/p", ".terraform/terraform.tfstate", "sub/.terraform/providers/p", ".git/HEAD"]) {
          plan.write(`work/live/${data}`, "")
        }
        rmSync(join(plan.data, "work/live/old.txt"))
      })
      expect(plan.told()).toEqual([
        "Planning changed these files of the configuration, and its apply gets them as they are now: live/build.sh",
        "Kept with the plan for its apply, since planning made them: live/.terraform/archive_files/lambda.zip, live/.terraform/modules/m/made.zip, live/builds/deep/prepare.sh, live/lambda.zip, live/latest.zip and 1 more"
      ])
      writeFileSync(join(apply.privateDirectory, madeFiles), readFileSync(join(plan.privateDirectory, madeFiles)))
      apply.write("work/live/zzz_agent_job.auto.tfvars", "of the apply")
      yield* apply.unpack
      const work = join(apply.data, "work")
      expect(readdirSync(work, { recursive: true }).sort()).toEqual([
        "live",
        "live/.terraform",
        "live/.terraform/archive_files",
        "live/.terraform/archive_files/lambda.zip",
        "live/.terraform/modules",
        "live/.terraform/modules/m",
        "live/.terraform/modules/m/made.zip",
        "live/.terraform/modules/m/main.tf",
        "live/build.sh",
        "live/builds",
        "live/builds/deep",
        "live/builds/deep/prepare.sh",
        "live/empty",
        "live/lambda.zip",
        "live/latest.zip",
        "live/main.tf",
        "live/old.txt",
        "live/sub",
        "live/sub/.terraform",
        "live/zzz_agent_job.auto.tfvars",
        "shared.json"
      ])
      expect(readFileSync(join(work, "live/build.sh"), "utf8")).toBe("# BUILD.SH")
      expect(readFileSync(join(work, "live/latest.zip"), "utf8")).toBe("zip")
      expect(readFileSync(join(work, "live/zzz_agent_job.auto.tfvars"), "utf8")).toBe("of the apply")
      expect(lstatSync(join(work, "live/builds/deep/prepare.sh")).mode & 0o777).toBe(0o775)
    }))

  it.effect("hides no change of a file of the configuration from who approves the plan", () =>
    Effect.gen(function*() {
      const here = yield* podAt
      const numbered = (name: string, most: number) => Array.from({ length: most }, (_, at) => `work/live/${name}${100 + at}`)
      for (const path of numbered("z", 52)) here.write(path, "approved")
      yield* here.packAfter(() => {
        for (const path of [...numbered("a", 7), ...numbered("z", 52)]) here.write(path, "of planning")
      })
      const names = (name: string, most: number) => numbered(name, most).map((path) => path.replace("work/", "")).join(", ")
      expect(here.told()).toEqual([
        `Planning changed these files of the configuration, and its apply gets them as they are now: ${names("z", 50)} and 2 more`,
        `Kept with the plan for its apply, since planning made them: ${names("a", 5)} and 2 more`
      ])
    }))

  it.effect("is left out whole, and the log says so, if the worker may not read one of its files", () =>
    Effect.gen(function*() {
      const here = yield* podAt
      here.write("work/live/a", "readable")
      here.write("work/live/secret", "of the runner")
      yield* asWorker(dirname(here.data), here.at("work/live/secret"), 0o600)
      yield* here.pack
      expect(here.told()).toEqual([
        `The files that planning made or changed cannot be kept with the plan, because the worker cannot read "live/secret"; make it readable for its group, or its apply runs without them.`
      ])
      expect(existsSync(join(here.privateDirectory, madeFiles))).toBe(false)
    }))

  it.effect("is left out whole, and the log says so, if planning made or changed a name that is not UTF-8", () =>
    Effect.gen(function*() {
      const here = yield* podAt
      const latin = Buffer.from(here.at("work/live/caf\u00e9"), "latin1")
      writeFileSync(latin, "as it was")
      yield* here.packAfter(() => here.write("work/live/a", "of planning"))
      yield* here.packAfter(() => writeFileSync(latin, "of planning"))
      expect(here.told()).toEqual([
        "Kept with the plan for its apply, since planning made them: live/a",
        `The files that planning made or changed cannot be kept with the plan, because they hold "live/caf\ufffd", whose name is not UTF-8; its apply runs without them.`
      ])
      expect(existsSync(join(here.privateDirectory, madeFiles))).toBe(false)
    }))

  it.effect("may be a file instead of a link, or a link instead of a file", () =>
    Effect.gen(function*() {
      const [plan, apply] = [yield* podAt, yield* podAt]
      for (const { at, write } of [plan, apply]) {
        write("work/live/file", "approved")
        symlinkSync("file", at("work/live/link"))
      }
      yield* plan.packAfter(() => {
        for (const name of ["file", "link"]) rmSync(join(plan.data, "work/live", name))
        symlinkSync("link", plan.at("work/live/file"))
        plan.write("work/live/link", "of planning")
      })
      writeFileSync(join(apply.privateDirectory, madeFiles), readFileSync(join(plan.privateDirectory, madeFiles)))
      yield* apply.unpack
      expect(readFileSync(join(apply.data, "work/live/file"), "utf8")).toBe("of planning")
    }))

  it.effect.each([
    { given: "a directory in place of a file", of: "live/a", was: "a file", is: "a directory" },
    { given: "a directory in place of a link", of: "live/b", was: "a link", is: "a directory" },
    { given: "a file in place of a directory", of: "live/c", was: "a directory", is: "a file" },
    { given: "a link in place of a directory", of: "live/c", was: "a directory", is: "a link" }
  ])("is left out, and the log says so, if it has $given", ({ is, of, was }) =>
    Effect.gen(function*() {
      const here = yield* podAt
      here.write("work/live/a", "approved")
      symlinkSync("a", here.at("work/live/b"))
      here.write("work/live/c/main.sh", "approved")
      yield* here.packAfter(() => {
        const path = here.at(`work/${of}`)
        rmSync(path, { recursive: true })
        if (is === "a directory") mkdirSync(path)
        else if (is === "a file") writeFileSync(path, "of planning")
        else symlinkSync("a", path)
        here.write("work/live/new", "of planning")
      })
      expect(here.told()).toEqual([
        `The files that planning made or changed cannot be kept with the plan, because "${of}", which was ${was}, is ${is} now; its apply runs without them.`
      ])
      expect(existsSync(join(here.privateDirectory, madeFiles))).toBe(false)
    }))

  it.effect("is said to be in the way, if something in the configuration of the apply is", () =>
    Effect.gen(function*() {
      const [plan, apply] = [yield* podAt, yield* podAt]
      yield* plan.packAfter(() => plan.write("work/live/builds", "of planning"))
      writeFileSync(join(apply.privateDirectory, madeFiles), readFileSync(join(plan.privateDirectory, madeFiles)))
      apply.write("work/live/builds/main.sh", "of the configuration")
      expect(yield* Effect.flip(apply.unpack)).toMatchObject({
        reason: "InvalidConfiguration",
        message:
          "The files that planning made or changed cannot be put back into the configuration; plan again, and let planning replace no directory of it by a file, nor the reverse."
      })
    }))

  it.effect("is no archive, and no line of the log, if planning made nothing", () =>
    Effect.gen(function*() {
      const here = yield* podAt
      yield* here.packAfter(() => here.write("engine/plan.tfplan", "another plan"))
      expect([here.told(), existsSync(join(here.privateDirectory, madeFiles))]).toEqual([[], false])
    }))

  it.effect.each([
    {
      given: "is more than the apply's Pod unpacks",
      size: 1024 ** 4, // a sparse file, which takes no space on the disk
      plan: 4,
      why: "they have more than 4096 MiB"
    },
    {
      given: "does not fit beside plan and modules",
      size: 0,
      plan: 252 * 1024 ** 2,
      why: "packed they have more than 0 MiB, which is what the plan leaves of 256 MiB"
    }
  ])("is left out, and the log says so, if it $given", ({ plan, size, why }) =>
    Effect.gen(function*() {
      const here = yield* podAt
      truncateSync(here.at("engine/plan.tfplan"), plan)
      here.write("engine/modules/m/large", randomBytes(2 * 1024 ** 2))
      yield* here.packAfter(() => {
        here.write("work/live/large", randomBytes(2 * 1024 ** 2))
        if (size > 0) truncateSync(here.at("work/live/large"), size)
      })
      expect(here.told()).toEqual([
        `The files that planning made or changed cannot be kept with the plan, because ${why}; its apply runs without them.`
      ])
      expect(existsSync(join(here.privateDirectory, madeFiles))).toBe(false)
    }))
})
