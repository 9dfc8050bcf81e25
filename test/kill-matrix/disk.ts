// Puts a Pod's own volumes on disks that are small enough to be filled, so that the node's disk is not touched.
// Invariant: the disks are mounted before the Pod's containers are made, which see no others. The kubelet unmounts them with the Pod.
// Used by targets.ts.
import { execFileSync } from "node:child_process"
import { closeSync, existsSync, openSync, readdirSync, readFileSync, statfsSync, statSync, writeSync } from "node:fs"
import { join } from "node:path"
import { eventually } from "../end-to-end/process.ts"

/** The size of each disk, which is more than a run of the matrix needs. */
const sizeMebibytes = 128
const nameOfDisk = "small-disk"

/** Waits for the Pod's emptyDir volumes, which the kubelet makes together before the first container, and returns their directories. */
const volumesOf = (pod: string): Promise<ReadonlyArray<string>> => {
  const place = join(pod, "volumes/kubernetes.io~empty-dir")
  const names = ["data", "private", "tmp"]
  const there = () => existsSync(place) && names.every((name) => readdirSync(place).includes(name))
  return eventually(`the volumes in ${place}`, () => there() ? names.map((name) => join(place, name)) : undefined, {
    everyMillis: 2,
    seconds: 60
  })
}

/** The kernel's number for the type tmpfs. */
const tmpfs = 0x01021994

/** Fills the small disk. Returns false once that is unmounted, because the directory is then on the node's disk. */
const fill = (directory: string): boolean => {
  if (!existsSync(directory) || statfsSync(directory).type !== tmpfs) return false
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
  return true
}

export interface SmallDisk {
  /** Fills every volume that is still there to the last byte. Fails if none is. */
  readonly fill: () => void
  /** Reports whether that process sees the small disks instead of what they cover. */
  readonly isSeenBy: (pid: number) => boolean
}

/**
 * Waits until the exec loop is on the small disk. On a busy node the init container may have installed it before the disk was mounted: then
 * it is copied from below the mount, before the worker looks.
 */
const untilInstalled = async (data: string, below: number): Promise<void> => {
  const [installed, script] = ["exec", "exec/exec-loop.sh"]
  const covered = `/proc/${process.pid}/fd/${below}`
  await eventually(`the exec loop on the small disk in ${data}`, () => {
    if (existsSync(join(data, script))) return true
    if (existsSync(join(covered, script))) execFileSync("cp", ["-a", join(covered, installed), data])
    return undefined
  }, { everyMillis: 2, seconds: 60 })
}

/** Mounts a small disk over each volume of a Pod. `pod`: the Pod's directory. */
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
    fill: () => {
      if (volumes.filter(fill).length === 0) throw new Error(`The small disks of ${pod} were gone before they could be filled`)
    },
    isSeenBy: (pid) => readFileSync(join("/proc", String(pid), "mountinfo"), "utf8").split(` ${nameOfDisk} `).length - 1 === volumes.length
  }
}
