// What an apply finds beside its plan, with the real engine: the modules that were planned, and what planning made.
// Each Pod is a new one at the same paths, as in a cluster, since the engine writes absolute paths of modules into the plan.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Tar } from "effect/encoding"
import { execFileSync } from "node:child_process"
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { temporaryFolder } from "../../temporary-folder.ts"
import { sha256, tarGz, taskApi } from "../fake-task-api.ts"
import { find, pod } from "../pod.ts"
import { poolTask, token } from "../whole-stage.ts"

const git = (repository: string, ...args: ReadonlyArray<string>) =>
  execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@example.com", ...args], { cwd: repository, stdio: "pipe" })

/** A Git repository with a branch `main`, which each call of `commit` moves. */
const repository = (place: string) => {
  const path = join(place, "repository")
  mkdirSync(path)
  git(path, "init", "--quiet", "--initial-branch=main")
  const commit = (files: Readonly<Record<string, string>>) => {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(path, name)), { recursive: true })
      writeFileSync(join(path, name), content)
    }
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "--message=moves")
  }
  return { path, commit, source: `git::file://${path}` }
}

/** A place for Pods with the same paths, and what outlives them. */
const scene = Effect.gen(function*() {
  const place = yield* temporaryFolder("carried")
  const api = yield* taskApi
  /** Runs a stage of the pool in a new Pod. */
  const stage = (stage: string, more: Record<string, unknown> = {}, programs: Readonly<Record<string, string>> = {}) =>
    Effect.scoped(Effect.gen(function*() {
      const here = yield* pod(programs, join(place, "pod"))
      const kubernetes = poolTask(api, stage, more)
      yield* here.run(kubernetes, token(here, api))
      return { ...kubernetes.task().status.result, log: here.log() }
    }))
  const planning = (
    files: Readonly<Record<string, string>>,
    more: Record<string, unknown> = {},
    programs: Readonly<Record<string, string>> = {}
  ) =>
    Effect.suspend(() => {
      api.archive = tarGz(files)
      return stage("plan", more, programs)
    })
  const applying = (plan: { readonly planDigest?: string; readonly log: string }, more: Record<string, unknown> = {}) =>
    Effect.suspend(() => {
      expect(plan.planDigest, plan.log).toBeDefined()
      api.log = new Uint8Array()
      return stage("apply", { plan: { sha256: plan.planDigest }, ...more })
    })
  return { place, api, planning, applying, git: repository(place) }
})

const runsItsScript = `resource "terraform_data" "x" {
  provisioner "local-exec" {
    command = "sh \${path.module}/run.sh"
  }
}
`

/** Returns the entries of a plan's package, by name. */
const entriesOf = (bytes: Uint8Array = new Uint8Array()) =>
  Stream.make(bytes).pipe(
    Stream.pipeThroughChannel(Tar.decode<never>()),
    Stream.mapEffect(({ body, header }) => Effect.map(Stream.runCollect(body), (chunks) => [header.path, Buffer.concat(chunks)] as const)),
    Stream.runCollect,
    Effect.map((entries): Readonly<Record<string, Buffer>> => Object.fromEntries(entries))
  )

const packageOf = (entries: Readonly<Record<string, Buffer | undefined>>) =>
  Stream.fromIterable(Object.entries(entries).map(([name, content]) => Tar.file(name, content ?? ""))).pipe(
    Stream.pipeThroughChannel(Tar.encode()),
    Stream.runCollect,
    Effect.map((chunks) => Buffer.concat(chunks))
  )

describe("the apply of a plan with modules", () => {
  it.live("runs the script that was approved, though the branch of the module has moved", () =>
    Effect.gen(function*() {
      const { applying, git, planning } = yield* scene
      git.commit({ "main.tf": runsItsScript, "run.sh": "echo it is the approved one" })
      const plan = yield* planning({ "main.tf": `module "m" {\n  source = "${git.source}?ref=main"\n}\n` })
      git.commit({ "run.sh": "echo it is another one" })
      const { log, ...result } = yield* applying(plan)
      expect(result, log).toMatchObject({ outcome: "succeeded", changes: { add: 1 } })
      expect(log).toContain("it is the approved one")
      expect(log).not.toContain("it is another one")
    }))

  it.live("needs no source of a module, whether nested, with links or at an absolute path", () =>
    Effect.gen(function*() {
      const { applying, git, place, planning } = yield* scene
      git.commit({
        "outer/main.tf": `module "inner" {\n  source = "../inner"\n}\n`,
        "inner/main.tf": runsItsScript,
        "inner/real.sh": "echo it is the approved one"
      })
      symlinkSync("real.sh", join(git.path, "inner/run.sh"))
      git.commit({})
      const image = join(place, "image") // of the runner: it is in the Pod of the apply too
      mkdirSync(image)
      writeFileSync(join(image, "main.tf"), `output "of" {\n  value = "the image"\n}\n`)
      const sources = [`${git.source}//outer?ref=main`, image]
      const files = { "main.tf": sources.map((source, at) => `module "m${at}" {\n  source = "${source}"\n}\n`).join("") }
      const plan = yield* planning(files)
      rmSync(git.path, { recursive: true })
      const { log, ...result } = yield* applying(plan)
      expect(result, log).toMatchObject({ outcome: "succeeded", changes: { add: 1 } })
      expect(log).toContain("it is the approved one")
    }))

  it.live("is refused if the package has another module than was sealed", () =>
    Effect.gen(function*() {
      const { api, applying, git, planning } = yield* scene
      git.commit({ "main.tf": runsItsScript, "run.sh": "echo it is the approved one" })
      const files = { "main.tf": `module "m" {\n  source = "${git.source}?ref=main"\n}\n` }
      const plan = yield* planning(files)
      const approved = api.plan
      git.commit({ "run.sh": "echo it is another one" })
      yield* planning(files)
      const [first, second] = [yield* entriesOf(approved), yield* entriesOf(api.plan)]
      api.plan = yield* packageOf({ ...first, "modules.tar.gz": second["modules.tar.gz"] })
      const { log, ...result } = yield* applying({ ...plan, planDigest: sha256(api.plan) })
      expect(result, log).toMatchObject({
        outcome: "failed",
        reason: "DigestMismatch",
        message: "The saved plan was made with other modules (m) than this apply would get; plan again."
      })
      expect(log).not.toContain("init")
    }))

  it.live("uses modules that came with the configuration, in a network that is closed", () =>
    Effect.gen(function*() {
      const { applying, planning } = yield* scene
      const source = "git::https://git.invalid/modules.git?ref=v1"
      const index = {
        Modules: [
          { Key: "", Source: "", Dir: "." },
          { Key: "m", Source: source, Dir: ".terraform/modules/m" },
          { Key: "m.inner", Source: "./inner", Dir: ".terraform/modules/m/inner" }
        ]
      }
      const plan = yield* planning({
        "live/main.tf": `module "m" {\n  source = "${source}"\n}\n`,
        "live/.terraform/modules/modules.json": JSON.stringify(index),
        "live/.terraform/modules/m/main.tf": `module "inner" {\n  source = "./inner"\n}\n`,
        "live/.terraform/modules/m/inner/main.tf": runsItsScript,
        "live/.terraform/modules/m/inner/run.sh": "echo it is the uploaded one"
      }, { workingDirectory: "live" })
      const { log, ...result } = yield* applying(plan, { workingDirectory: "live" })
      expect(result, log).toMatchObject({ outcome: "succeeded", changes: { add: 1 } })
      expect(log).toContain("it is the uploaded one")
    }))

  it.live("also destroys by what was approved", () =>
    Effect.gen(function*() {
      const { applying, git, planning } = yield* scene
      const destroying = (word: string) =>
        `resource "terraform_data" "x" {\n  provisioner "local-exec" {\n    when = destroy\n    command = "sh \${path.module}/run.sh; echo ${word}"\n  }\n}\n`
      git.commit({ "main.tf": destroying("one"), "run.sh": "echo it is the approved one" })
      const files = { "main.tf": `module "m" {\n  source = "${git.source}?ref=main"\n}\n` }
      yield* applying(yield* planning(files))
      const plan = yield* planning(files, { options: { destroy: true } })
      git.commit({ "run.sh": "echo it is another one" })
      const { log, ...result } = yield* applying(plan)
      expect(result, log).toMatchObject({ outcome: "succeeded", changes: { destroy: 1 } })
      expect(log).toContain("it is the approved one")
      expect(log).not.toContain("it is another one")
    }))
})

describe("the apply of a plan that made files", () => {
  it.live("finds them as data sources such as archive_file left them", () =>
    Effect.gen(function*() {
      const { applying, planning } = yield* scene
      const files = {
        "live/main.tf": `resource "terraform_data" "x" {\n  provisioner "local-exec" {\n    command = "cat builds/lambda.zip"\n  }\n}\n`
      }
      const makes = `[ "$1" != plan ] || { mkdir builds && echo what was planned >builds/lambda.zip; } || exit 1`
      const tofu = `#!/bin/sh\n${makes}\nexec ${find("tofu")} "$@"\n`
      const plan = yield* planning(files, { workingDirectory: "live" }, { tofu })
      expect(plan.log).toContain("Kept with the plan for its apply, since planning made them: live/builds/lambda.zip")
      const { log, ...result } = yield* applying(plan, { workingDirectory: "live" })
      expect(result, log).toMatchObject({ outcome: "succeeded" })
      expect(log).toContain("what was planned")
    }))
})
