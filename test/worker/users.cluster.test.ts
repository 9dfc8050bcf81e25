// Worker and runner as two users of one group, as in the component separate-users: a whole apply, and who owns its files.
// Only root can start programs as other users; without root, both are the user who runs the tests.
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { chmodSync, chownSync, cpSync, mkdirSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { temporaryFolder } from "../temporary-folder.ts"
import { podEnvironment } from "./pod-settings.ts"
import { find } from "./pod.ts"

const isRoot = process.getuid?.() === 0
const group = 1001
const worker = isRoot ? { uid: 1001, gid: group } : {}
const runner = isRoot ? { uid: 1002, gid: group } : {}

/** A volume as the kubelet gives it to the group of the Pod. */
const volume = (path: string): string => {
  mkdirSync(path)
  if (isRoot) chownSync(path, 0, group)
  chmodSync(path, 0o2777)
  return path
}

const ended = (command: string, args: ReadonlyArray<string>, options: object) =>
  Effect.callback<{ readonly code: number | null; readonly output: string }>((resume) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"], ...options })
    let output = ""
    child.stdout?.on("data", (chunk) => {
      output += chunk
    })
    child.on("close", (code) => resume(Effect.succeed({ code, output })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const main = (state: string) => `
terraform {
  backend "local" { path = "${state}" }
}
resource "terraform_data" "who" {
  provisioner "local-exec" {
    command = "id -u"
  }
}
`

it.live("worker and runner may be different users, which share what they must and no more", () =>
  Effect.gen(function*() {
    const place = yield* temporaryFolder("users")
    chmodSync(place, 0o755)
    const [data, privateDirectory, claim] = [volume(join(place, "data")), volume(join(place, "private")), volume(join(place, "claim"))]
    mkdirSync(join(place, "bin"))
    cpSync(find("tofu"), join(place, "bin/tofu"))
    const program = ["--disable-warning=ExperimentalWarning", new URL("../../src/main.ts", import.meta.url).pathname]
    const surroundings = { PATH: process.env["PATH"], HOME: claim, TMPDIR: claim }
    expect((yield* ended(process.execPath, [...program, "install", data], { ...worker, env: surroundings })).code).toBe(0)

    const tofurc = join(place, "tofurc")
    writeFileSync(tofurc, "")
    const loop = spawn("/bin/sh", [join(data, "exec/exec-loop.sh"), join(data, "exec")], {
      ...runner,
      stdio: "ignore",
      detached: true,
      env: { PATH: `${join(place, "bin")}:/usr/bin:/bin`, TF_CLI_CONFIG_FILE: tofurc }
    })
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => loop.pid !== undefined && loop.exitCode === null && process.kill(-loop.pid, "SIGKILL"))
    )

    const spec = {
      workspace: "demo",
      stage: "apply",
      source: { inline: { "main.tf": main(join(claim, "s.tfstate")) } },
      jobTemplate: { volumeClaims: [{ claimName: "state", mountPath: claim }] }
    }
    const env = podEnvironment(data, privateDirectory, { AGENT_JOB_TERMINATION_LOG: join(claim, "log"), AGENT_JOB_READY_PORT: "0" })
    const { code, output } = yield* ended(process.execPath, [
      "--disable-warning=ExperimentalWarning",
      new URL("./worker-process.ts", import.meta.url).pathname,
      JSON.stringify({ env, spec, status: { phase: "Starting" } })
    ], { ...worker, env: surroundings })
    expect(code, output).toBe(0)
    expect(output).toContain("Apply complete! Resources: 1 added")
    if (!isRoot) return
    expect(output).toMatch(/local-exec\).*1002$/mu)
    expect([join(claim, "s.tfstate"), join(data, "exec/exec-loop.sh"), join(data, "work/main.tf")].map((path) => statSync(path).uid))
      .toEqual([1002, 1001, 1001])
    expect(statSync(join(data, "exec/exec-loop.sh")).mode & 0o022).toBe(0) // the runner cannot change what it is started with
  }).pipe(Effect.scoped))
