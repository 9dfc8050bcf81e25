// When `make image` builds, with an engine and a Debian of the test: a tag stands for all that is in the image.
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { checkout } from "./checkout.ts"

const engine = `echo "$*" | tee -a calls >>all-calls
for last; do :; done
case "$*" in
*--version*) ;;
*"inspect --type image --format"*) cat base-id ;;
*"inspect --type image agent-job.test/minimal"*) grep -q -- "-t $last " all-calls ;;
*push*) path=\${last#docker-archive:} && touch "\${path%%.new:*}.new" ;;
esac`

const knows = `printf '%s:\\n  Candidate: %s\\n' libc6 "$(<libc6)"`

/** Returns what makes the images, and gives the names that it builds and those that the images have then. */
const maker = () => {
  const { folder, program, run, write } = checkout(
    "scripts",
    "images",
    ...["env", "node", "engine"].map((name) => `test/cluster/${name}.bash`)
  )
  program("buildah", engine)
  program("apt-get", "echo apt-get >>calls")
  program("apt-cache", knows)
  for (const name of ["strip", "busybox"]) program(name, "")
  for (const stub of ["test/cluster/build", "scripts/bundle"]) write(stub, "#!/bin/sh\n")
  write("images/minimal-rootfs", "#!/bin/sh\ntouch $1/rootfs.tar\n")
  for (const name of ["main.cjs", "exec-loop.sh", "LICENSES.txt"]) write(`dist/${name}`, name)
  for (const name of ["tofu", ".tofu", "terraform-provider-time", ".provider-time"]) write(`cache/bin/${name}`, name)
  write("node_modules/.bin/node", "#!/bin/sh\necho v24.0.0\n")
  write("test/cluster/tools/provider-time/go.mod", "require github.com/hashicorp/terraform-provider-time v0.14.2\n")
  write("libc6", "1")
  write("base-id", "sha256:1")
  const make = (env: Readonly<Record<string, string>> = {}) => {
    write("calls", "")
    const { said, status } = run("scripts/image", { CONTAINER_ENGINE: "buildah", ...env })
    expect(status, said).toBe(0)
    const calls = existsSync(join(folder, "calls")) ? readFileSync(join(folder, "calls"), "utf8").trim().split("\n") : []
    return {
      said,
      calls: calls.filter((call) => call !== ""),
      built: calls.flatMap((call) => / -t (\S+) /u.exec(call)?.[1] ?? []),
      bases: calls.flatMap((call) => /--build-arg=((?:BASE|CERTIFICATES)=\S+)/u.exec(call)?.[1] ?? []),
      tags: ["agent-job", "agent-job-runner"].map((name) => readFileSync(join(folder, `.cache/${name}.image`), "utf8").trim())
    }
  }
  return { folder, make, program, run, write }
}

it("builds both images once, and asks nobody for what is there", () => {
  const { make } = maker()
  const first = make()
  expect(first.built).toEqual([expect.stringMatching(/^agent-job\.test\/minimal:/u), ...first.tags])
  expect(make()).toMatchObject({ calls: [], built: [], bases: [], tags: first.tags })
})

it("builds both anew, under other names, once the machine knows of a newer libc", () => {
  const { make, run, write } = maker()
  const before = make()
  write("libc6", "2")
  run("touch --date=@0 .cache/debian") // so that the lists of packages are newer
  const after = make()
  expect(after.built).toEqual([expect.stringMatching(/^agent-job\.test\/minimal:/u), ...after.tags])
  expect([...before.tags, ...before.bases].filter((name) => [...after.tags, ...after.bases].includes(name))).toEqual([])
})

it("forgets what it was about to learn of Debian when it is interrupted", () => {
  const { make, program, run } = maker()
  const before = make()
  run("rm .cache/debian")
  program("apt-cache", "echo libc6:; kill -KILL $$")
  expect(run("scripts/image", { CONTAINER_ENGINE: "buildah" }).status).not.toBe(0)
  program("apt-cache", knows)
  expect(make()).toMatchObject({ built: [], tags: before.tags })
})

it.runIf(process.getuid?.() === 0)("says so when Debian cannot be asked, and builds with what is known", () => {
  const { make, program } = maker()
  program("apt-get", `case "$*" in *APT::Update::Error-Mode=any*) exit 100 ;; esac`) // apt-get succeeds without, and only warns
  const { built, said, tags } = make()
  expect(said).toContain("Debian cannot be asked")
  expect(built).toEqual(expect.arrayContaining(tags))
})

it("builds on another base under another name, and again when the base is another image", () => {
  const { make, write } = maker()
  const ours = make()
  const first = make({ BASE: "base.example.com/cc" })
  expect(first.bases).toEqual(["BASE=base.example.com/cc", "CERTIFICATES=base.example.com/cc"])
  expect(first.built).toEqual(first.tags)
  expect(make({ BASE: "base.example.com/cc" })).toMatchObject({ built: [], tags: first.tags })
  write("base-id", "sha256:2")
  const second = make({ BASE: "base.example.com/cc" })
  expect(second.built).toEqual(second.tags)
  expect(new Set([...ours.tags, ...first.tags, ...second.tags]).size).toBe(6)
  expect(make().tags).toEqual(ours.tags)
})

it("builds agent-job of another commit's files beside the present one, which stays, and under a tag of its own even if it is the same", () => {
  const { folder, make, run } = maker()
  const { tags } = make()
  run("mkdir earlier && cp -r scripts images test dist libc6 node_modules earlier")
  const { said, status } = run("scripts/image earlier", { CONTAINER_ENGINE: "buildah" })
  expect(status, said).toBe(0)
  const built = readFileSync(join(folder, "earlier/.cache/agent-job.image"), "utf8").trim()
  expect(built).toMatch(/^agent-job:[0-9a-f]{12}-earlier$/u)
  expect(readFileSync(join(folder, "earlier/calls"), "utf8")).toContain(` -t ${built} `)
  expect(existsSync(join(folder, "earlier/.cache/agent-job.tar"))).toBe(true)
  expect(make()).toMatchObject({ built: [], tags })
})
