// A Pod's own volumes on a disk so small that it can be filled: the files of the node stay what they are.
// Always holds: it is put in place before the Pod's containers are made, so that they see no other; the kubelet takes it away with the Pod.
// Used by targets.ts.
import { execFileSync } from "node:child_process"
import { closeSync, existsSync, openSync, readdirSync, readFileSync, statfsSync, statSync, writeSync } from "node:fs"
import { join } from "node:path"
import { eventually } from "../end-to-end/process.ts"

/** More than a run of the matrix needs. */
const sizeMebibytes = 128
const nameOfDisk = "small-disk"

/** Every emptyDir of the Pod's; they come together, before its first container. */
const volumesOf = (pod: string): Promise<ReadonlyArray<string>> => {
  const place = join(pod, "volumes/kubernetes.io~empty-dir")
  const names = ["data", "private", "tmp"]
  const there = () => existsSync(place) && names.every((name) => readdirSync(place).includes(name))
  return eventually(`the volumes in ${place}`, () => there() ? names.map((name) => join(place, name)) : undefined, {
    everyMillis: 2,
    seconds: 60
  })
}

/** As the kernel calls a tmpfs. */
const tmpfs = 0x01021994

/** Nothing where the small disk is gone already: what is there then is the node's. */
const fill = (directory: string): void => {
  if (!existsSync(directory) || statfsSync(directory).type !== tmpfs) return
  const block = Buffer.alloc(2 ** 20, 1)
  const file = openSync(join(directory, "filled"), "w", 0o600)
  try {
    for (let size = block.length, blocks = sizeMebibytes; size >= 1; size = Math.floor(size / 2), blocks = 2) {
      try {
        for (let written = 0; written < blocks; written++) writeSync(file, block, 0, size)
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error
      }
    }
  } finally {
    closeSync(file)
  }
}

export interface SmallDisk {
  /** To the last byte. */
  readonly fill: () => void
  /** Whether that process has it, and not what was there before. */
  readonly isSeenBy: (pid: number) => boolean
}

/** On a busy node the init container may have been quicker than the disk: what it put below it is brought along before the worker looks. */
const untilInstalled = async (data: string, below: number): Promise<void> => {
  const [installed, script] = ["exec", "exec/exec-loop.sh"]
  const covered = `/proc/${process.pid}/fd/${below}`
  await eventually(`the exec loop on the small disk in ${data}`, () => {
    if (existsSync(join(data, script))) return true
    if (existsSync(join(covered, script))) execFileSync("cp", ["-a", join(covered, installed), data])
    return undefined
  }, { everyMillis: 2, seconds: 60 })
}

/** `pod`: the Pod's directory. */
export const smallDisk = async (pod: string): Promise<SmallDisk> => {
  const volumes = await volumesOf(pod)
  const [data = ""] = volumes
  const below = openSync(data, "r")
  for (const directory of volumes) {
    const { gid, mode, uid: owner } = statSync(directory)
    execFileSync("mount", [
      "-t",
      "tmpfs",
      "-o",
      `size=${sizeMebibytes}m,uid=${owner},gid=${gid},mode=${(mode & 0o7777).toString(8)}`,
      nameOfDisk,
      directory
    ])
  }
  try {
    await untilInstalled(data, below)
  } finally {
    closeSync(below)
  }
  return {
    fill: () => volumes.forEach(fill),
    isSeenBy: (pid) => readFileSync(join("/proc", String(pid), "mountinfo"), "utf8").split(` ${nameOfDisk} `).length - 1 === volumes.length
  }
}
