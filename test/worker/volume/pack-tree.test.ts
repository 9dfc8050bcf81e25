// What is packed of a tree: every file as it is, or nothing at all and the reason why.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
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
import { join } from "node:path"
import { invalid } from "../../../src/worker/stage-failed.ts"
import { unpack } from "../../../src/worker/volume/archive.ts"
import { openFolder } from "../../../src/worker/volume/folder.ts"
import { packedLimits, type PackedPart, packTree } from "../../../src/worker/volume/pack-tree.ts"
import { pathBelow } from "../../../src/worker/volume/tree.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { asWorker } from "../as-worker.ts"
import { writtenBelow } from "../written-below.ts"

/** A tree, the archive that is made of it, and a function that packs it. */
const treeAt = Effect.gen(function*() {
  const place = yield* temporaryFolder("pack")
  const [tree, archive] = [join(place, "tree"), join(place, "tree.tar.gz")]
  mkdirSync(tree)
  const { at, write } = writtenBelow(tree)
  const root = yield* openFolder(place)
  const pack = (how: Partial<PackedPart> = {}) =>
    packTree(
      {
        root,
        from: ["tree"],
        wanted: () => true,
        isKept: () => true,
        obstacle: () => undefined,
        what: "the files",
        refused: (why, first = "leave them out") => invalid(`${why}; ${first}`),
        ...how
      },
      archive,
      { bytes: 1024 ** 2, left: "all there is" }
    )
  return { place, tree, archive, at, write, pack }
})

type Tree = Effect.Success<typeof treeAt>

/** Returns what notes a step, and the most steps that were taken before others had their turn. */
const stepsInATurn = Effect.gen(function*() {
  const steps = { now: 0, most: 0 }
  let turn: NodeJS.Immediate
  const next = () => {
    steps.now = 0
    turn = setImmediate(next)
  }
  yield* Effect.acquireRelease(Effect.sync(next), () => Effect.sync(() => clearImmediate(turn)))
  return {
    step: () => {
      steps.most = Math.max(steps.most, ++steps.now)
      return true
    },
    most: () => steps.most
  }
})

describe("a packed tree", () => {
  it.effect("is unpacked as it was, with links that lead anywhere, without what is not wanted or not kept", () =>
    Effect.gen(function*() {
      const { archive, at, pack, place, write } = yield* treeAt
      write("m/main.tf", "# m")
      write("m/deep/run.sh", "echo one", 0o755)
      write("m/.git/HEAD", "ref")
      write("m/same", "as before")
      symlinkSync("../deep/run.sh", at("m/links/run.sh"))
      symlinkSync("/opt/modules/vpc", at("vpc"))
      const { list } = yield* pack({ wanted: (segments) => segments.at(-1) !== ".git", isKept: (found) => pathBelow(found) !== "m/same" })
      const paths = ["m", "m/deep", "m/deep/run.sh", "m/links", "m/links/run.sh", "m/main.tf", "vpc"]
      expect(list.map(pathBelow)).toEqual(paths)
      const there = join(place, "there")
      mkdirSync(there)
      yield* unpack(archive, yield* openFolder(there), packedLimits, "worker")
      expect(readdirSync(there, { recursive: true }).sort()).toEqual(paths)
      expect(readFileSync(join(there, "m/links/run.sh"), "utf8")).toBe("echo one")
      expect(readlinkSync(join(there, "vpc"))).toBe("/opt/modules/vpc")
      expect(lstatSync(join(there, "m/deep/run.sh")).mode & 0o777).toBe(0o775)
      expect(lstatSync(join(there, "m/main.tf")).mode & 0o777).toBe(0o664)
    }))

  it.effect("is the same bytes again, and no archive if there is nothing to pack", () =>
    Effect.gen(function*() {
      const { archive, pack, tree, write } = yield* treeAt
      const packed = Effect.andThen(pack(), Effect.sync(() => readFileSync(archive, "hex")))
      write("b/main.tf", "b")
      write("a/main.tf", "a")
      const first = yield* packed
      rmSync(join(tree, "a"), { recursive: true })
      write("a/main.tf", "a")
      expect(yield* packed).toBe(first)
      rmSync(tree, { recursive: true })
      yield* pack()
      expect(existsSync(archive)).toBe(false)
    }))

  it.effect("is listed, judged and packed in pieces, so that others have their turn and no more than a piece is in memory", () =>
    Effect.gen(function*() {
      const { pack, write } = yield* treeAt
      const files = 1500
      for (let nth = 0; nth < files; nth++) write(`m/${nth}`, "")
      const [listed, judged, made] = [yield* stepsInATurn, yield* stepsInATurn, yield* stepsInATurn]
      const { list } = yield* pack({
        wanted: listed.step,
        isKept: judged.step,
        from: Object.assign(["tree"], {
          *[Symbol.iterator]() { // which each entry needs when it is made, not only when it is read
            made.step()
            yield "tree"
          }
        })
      })
      expect(list).toHaveLength(files + 1)
      expect([listed.most(), judged.most(), made.most()]).toEqual([256, 1024, 256])
    }))

  it.effect.each([
    {
      given: "it is more than the other Pod unpacks",
      leave: ({ at, write }: Tree) => {
        write("m/large", "")
        truncateSync(at("m/large"), 1024 ** 4) // a sparse file, which takes no space on the disk
      },
      why: "they have more than 4096 MiB"
    },
    {
      given: "it is more with what a tar adds to each file",
      leave: ({ at, write }: Tree) => {
        write("m/large", "")
        truncateSync(at("m/large"), packedLimits.bytes - 4096)
      },
      why: "they have more than 4096 MiB"
    },
    {
      given: "there is no room for it",
      leave: ({ write }: Tree) => write("m/random", randomBytes(2 * 1024 ** 2)),
      why: "packed they have more than 1 MiB, which is all there is"
    },
    {
      given: "a name is none that an archive may have",
      leave: ({ write }: Tree) => write("m/a\nb", ""),
      why: `they hold "m/a\\nb", whose name has a backslash or control character`
    },
    {
      given: "a name is not UTF-8",
      leave: ({ at, write }: Tree) => {
        write("m/main.tf", "")
        writeFileSync(Buffer.from(at("m/caf\u00e9"), "latin1"), "")
      },
      why: `they hold "m/caf\ufffd", whose name is not UTF-8`
    },
    {
      given: "a link leads to a name that is not UTF-8",
      leave: ({ at }: Tree) => symlinkSync(Buffer.from("caf\u00e9", "latin1"), at("m/link")),
      why: `they hold "m/link", a link whose name or target is not UTF-8`
    },
    {
      given: "it is too deep",
      leave: ({ write }: Tree) => write(`${"d/".repeat(40)}f`, ""),
      why: `they hold "${Array(33).fill("d").join("/")}", which is too deep`
    },
    {
      given: "it is deeper than is looked at",
      leave: ({ write }: Tree) => write(`${"d/".repeat(70)}f`, ""),
      why: `they hold "${Array(64).fill("d").join("/")}", which is too deep`
    }
  ])("is refused, and leaves no archive, when $given", ({ leave, why }) =>
    Effect.gen(function*() {
      const here = yield* treeAt
      here.write("first", "in the archive of before")
      yield* here.pack()
      leave(here)
      expect(yield* Effect.flip(here.pack())).toMatchObject({ message: `${why}; leave them out` })
      expect(existsSync(here.archive)).toBe(false)
    }))

  it.effect.each([
    {
      given: "a file changes meanwhile",
      change: ({ at }: Tree) => truncateSync(at("main.tf"), 1),
      failure: { reason: "InvalidConfiguration", message: "they changed while they were read; leave them out" }
    },
    {
      given: "the disk gets full",
      change: ({ archive }: Tree) => symlinkSync("/dev/full", archive),
      failure: {
        reason: "DiskFull",
        message:
          "The disk of the Pod's node was full when the worker wrote the files; let tasks request ephemeral-storage, or give their nodes larger disks."
      }
    }
  ])("is refused, and leaves no archive, when $given", ({ change, failure }) =>
    Effect.gen(function*() {
      const here = yield* treeAt
      here.write("main.tf", "# as it was listed")
      const isKept = () => {
        change(here)
        return true
      }
      expect(yield* Effect.flip(here.pack({ isKept }))).toMatchObject(failure)
      expect(existsSync(here.archive)).toBe(false)
    }))

  it.effect.each([
    { given: "a file", path: "m/secret.sh", mode: 0o600, named: "m/secret.sh" },
    { given: "a directory", path: "m/hidden", mode: 0o700, named: "m/hidden" },
    { given: "a directory without its entries", path: "m/hidden", mode: 0o744, named: "m/hidden" }
  ])(
    "is refused with the name of $given that the worker may not read, since it is another user than the runner",
    ({ mode, named, path }) =>
      Effect.gen(function*() {
        const { pack, place, tree, write } = yield* treeAt
        write("m/secret.sh", "echo")
        write("m/hidden/run.sh", "echo")
        yield* asWorker(place, join(tree, path), mode)
        expect(yield* Effect.flip(pack())).toMatchObject({
          message: `the worker cannot read "${named}"; make it readable for its group`
        })
      })
  )
})
