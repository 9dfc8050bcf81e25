// Publishes a release as flux/README.md and docs/crd-upgrades.md say, from a checkout in use: the artifact is what Git has of it.
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, relative } from "node:path"

const place = mkdtempSync(join(tmpdir(), "agent-job-release-"))
const [checkout, pushed] = [join(place, "checkout"), join(place, "pushed")]
afterAll(() => rmSync(place, { recursive: true }))

const nobody = { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" }
const env = { ...process.env, ...nobody, PATH: `${join(place, "bin")}:${process.env.PATH}`, TMPDIR: place }
const bash = (script: string, ...options: ReadonlyArray<string>) =>
  execFileSync("bash", [...options, "-c", script], { cwd: checkout, env, encoding: "utf8", stdio: "pipe" })
const shell = (script: string) => bash(script, "-euo", "pipefail")

const write = (files: Readonly<Record<string, string>>) => {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(checkout, name)), { recursive: true })
    writeFileSync(join(checkout, name), text)
  }
}
const release = (version: string) => shell(`git add . && git commit -qm ${version} && git tag -am ${version} v${version}`)

/** Keeps what flux is given to push, and its arguments. */
const flux = `#!/bin/bash
for argument; do case $argument in --path=*) cp -r "\${argument#--path=}" "${pushed}" ;; esac; done
printf '%s\\n' "$@" >"${pushed}.arguments"
`

beforeAll(() => {
  mkdirSync(join(place, "bin"))
  writeFileSync(join(place, "bin/flux"), flux, { mode: 0o755 })
  mkdirSync(checkout)
  cpSync(".gitignore", join(checkout, ".gitignore"))
  shell(
    "git init -q -b main && git config user.name a && git config user.email a@example.com && git remote add origin https://git.example.com/a"
  )
  write({ "flux/a.yaml": "0.1.0", "kustomize/base/a.yaml": "0.1.0", "kustomize/crd/a.yaml": "0.1.0", "src/a.ts": "" })
  release("0.1.0")
  write({ "flux/a.yaml": "0.2.0", "kustomize/base/a.yaml": "0.2.0", "kustomize/crd/a.yaml": "0.2.0" })
  release("0.2.0")
})

/** Returns what the commands of flux/README.md push for this version when somebody types them, and the revision that they claim for it. */
const publish = (version: string) => {
  const [commands = ""] =
    /(?<=\n\n)(?: {4}[^\n]*\n)*? +flux push artifact (?:[^\n]*\n {4})*[^\n]*/u.exec(readFileSync("flux/README.md", "utf8")) ?? []
  rmSync(pushed, { recursive: true, force: true })
  bash(commands.replace("0.1.0", version))
  const files = readdirSync(pushed, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    .map((entry) => relative(pushed, join(entry.parentPath, entry.name))).sort()
  const [, revision] = /^--revision=(.*)$/mu.exec(readFileSync(`${pushed}.arguments`, "utf8")) ?? []
  return { files: Object.fromEntries(files.map((file) => [file, readFileSync(join(pushed, file), "utf8")])), revision }
}
const commit = (tag: string) => shell(`git rev-parse "${tag}^{commit}"`).trim()

it("publishes what the tag has, whatever else lies in the checkout", () => {
  write({ ".cache/kubeconfig": "token", "kustomize/base/mine.yaml": "not in Git", "flux/a.yaml": "changed" })
  expect(publish("0.1.0")).toEqual({
    files: { "flux/a.yaml": "0.1.0", "kustomize/base/a.yaml": "0.1.0", "kustomize/crd/a.yaml": "0.1.0" },
    revision: `v0.1.0@sha1:${commit("v0.1.0")}`
  })
  shell("git checkout -q -- . && git clean -qfdx")
})

it("publishes nothing for a version whose tag is not here, as in a clone without tags", () => {
  expect(() => publish("0.3.0")).toThrow("Needed a single revision")
  expect(existsSync(pushed)).toBe(false)
})

it("goes back to an older release with the newer CRD, under a revision that has it", () => {
  const [, commands = ""] =
    /publish the older release with the newer CRD[^\n]*?`(git checkout [^`]*)`/u.exec(readFileSync("docs/crd-upgrades.md", "utf8")) ?? []
  shell(commands)
  expect(publish("0.2.1")).toEqual({
    files: { "flux/a.yaml": "0.1.0", "kustomize/base/a.yaml": "0.1.0", "kustomize/crd/a.yaml": "0.2.0" },
    revision: `v0.2.1@sha1:${commit("v0.2.1")}`
  })
})
