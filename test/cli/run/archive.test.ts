import { describe, expect, it } from "@effect/vitest"
import { Effect, Option, Stream } from "effect"
import { Tar } from "effect/encoding"
import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { chmodSync, chownSync, mkdirSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { basename, dirname, join } from "node:path"
import { gunzipSync } from "node:zlib"
import { archiveOf, nameOfDirectory, staysInside } from "../../../src/cli/run/archive.ts"
import { type ArchiveSize, archiveSize } from "../../../src/core/stage/archive-entry.ts"
import { canBeNameless, nameless } from "../../nameless.ts"
import { temporaryFolder } from "../../temporary-folder.ts"

/** Makes a temporary directory with these files. It is removed when the scope closes. */
const directoryWith = (files: Readonly<Record<string, string | Buffer>>) =>
  Effect.tap(temporaryFolder("archive"), (made) =>
    Effect.sync(() => {
      for (const [path, content] of Object.entries(files)) {
        mkdirSync(dirname(join(made, path)), { recursive: true })
        writeFileSync(join(made, path), content)
      }
    }))

const unpacked = (bytes: Uint8Array) =>
  Stream.succeed(new Uint8Array(gunzipSync(bytes))).pipe(
    Stream.pipeThroughChannel(Tar.decode()),
    Stream.mapEffect(({ body, header }) =>
      Effect.map(Stream.mkUint8Array(body), (content) => ({ ...header, content: new TextDecoder().decode(content) }))
    ),
    Stream.runCollect
  )

/** Packs a directory for a workspace whose working directory is `below`. */
const archived = (directory: string, below = "", most = archiveSize) => archiveOf(directory, Effect.succeed(below), Option.none(), most)

const pathsOf = (directory: string) =>
  Effect.gen(function*() {
    const { bytes } = yield* archived(directory)
    return (yield* unpacked(bytes)).map(({ path, type }) => type === "Directory" ? `${path.replace(/\/$/u, "")}/` : path)
  })

const refusal = (directory: string, below?: string, most?: ArchiveSize) =>
  Effect.map(Effect.flip(archived(directory, below, most)), ({ message }) => message.replaceAll(directory, "DIR"))

const main = { "main.tf": "output \"m\" { value = 1 }\n" }

describe("the archive of a directory", () => {
  it.effect("has files, directories and their content, relative and in order", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({
        ...main,
        "modules/card/main.tf": "# card\n",
        "a.tfvars": "x = 1\n",
        ".terraform.lock.hcl": "# locked\n"
      })
      mkdirSync(join(directory, "empty"))
      const archive = yield* archived(directory)
      const entries = yield* unpacked(archive.bytes)
      expect(entries.map(({ path, type }) => [path.replace(/\/$/u, ""), type])).toEqual([
        [".terraform.lock.hcl", "File"],
        ["a.tfvars", "File"],
        ["empty", "Directory"],
        ["main.tf", "File"],
        ["modules", "Directory"],
        ["modules/card", "Directory"],
        ["modules/card/main.tf", "File"]
      ])
      expect(entries.find(({ path }) => path === "modules/card/main.tf")?.content).toBe("# card\n")
      expect({ files: archive.files, contentBytes: archive.contentBytes }).toEqual({ files: 4, contentBytes: 25 + 7 + 6 + 9 })
    }))

  it.effect("is the same for the same content, whenever and by whomever it was written", () =>
    Effect.gen(function*() {
      const [one, two] = [yield* directoryWith({ ...main, "b/c.tf": "" }), yield* directoryWith({ "b/c.tf": "", ...main })]
      utimesSync(join(two, "main.tf"), 1, 1)
      chmodSync(join(two, "main.tf"), 0o600)
      if (process.getuid?.() === 0) chownSync(join(two, "main.tf"), 1, 1) // only root may
      expect((yield* unpacked((yield* archived(two)).bytes)).map(({ gid, uid }) => [uid, gid])).toEqual([[0, 0], [0, 0], [0, 0]])
      expect(Buffer.from((yield* archived(one)).bytes)).toEqual(Buffer.from((yield* archived(two)).bytes))
    }))

  it.effect("keeps what may be executed executable", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({ ...main, "hook.sh": "#!/bin/sh\n" })
      chmodSync(join(directory, "hook.sh"), 0o700)
      const entries = yield* unpacked((yield* archived(directory)).bytes)
      expect(entries.map(({ mode, path }) => [path, mode.toString(8)])).toEqual([["hook.sh", "755"], ["main.tf", "644"]])
    }))

  it.effect("leaves out .git, .terraform but for its modules, and what .terraformignore names", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({
        ...main,
        ".git/HEAD": "",
        ".terraform/providers/p": "",
        ".terraform/modules/m/main.tf": "",
        "sub/.git/HEAD": "",
        "big/data.bin": "",
        "big/keep.tf": "",
        ".terraformignore": "big/\n!big/keep.tf\n"
      })
      expect(yield* pathsOf(directory)).toEqual([
        ".terraform/",
        ".terraform/modules/",
        ".terraform/modules/m/",
        ".terraform/modules/m/main.tf",
        ".terraformignore",
        "big/keep.tf",
        "main.tf",
        "sub/"
      ])
    }))

  it.effect("is not made by rules that cannot be used", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({ ...main, ".terraformignore": "*.log\n[z-a]\n" })
      expect(yield* refusal(directory)).toBe(
        ".terraformignore:2: [z-a] cannot be used as a rule: a range such as [a-z] goes from the lower to the higher character, and no class such as [[:digit:]] is known; correct that line."
      )
    }))

  it.effect.each([
    { of: "UTF-16, as PowerShell 5 writes", rules: Buffer.from("\uFEFF*.pem\r\n", "utf16le") },
    { of: "UTF-16 without its mark", rules: Buffer.from("*.pem\n", "utf16le") },
    { of: "another character set", rules: Buffer.from("schl\u00FCssel.pem\n", "latin1") }
  ])("is not made by rules in $of", ({ rules }) =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({ ...main, "prod.pem": "", ".terraformignore": rules })
      expect(yield* refusal(directory)).toBe(
        ".terraformignore is not UTF-8 text, so its rules cannot be used; save it as UTF-8, which PowerShell 5 does only when told to."
      )
    }))

  it.effect("is not made by rules that cannot be read", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({ ...main, ".terraformignore/x": "" })
      expect(yield* refusal(directory)).toBe("Cannot read DIR/.terraformignore: it is not a file; correct that.")
      const other = yield* directoryWith(main)
      execFileSync("mkfifo", [join(other, ".terraformignore")])
      expect(yield* refusal(other)).toBe("Cannot read DIR/.terraformignore: it is not a file; correct that.")
    }))

  it.effect("has names longer than a tar header holds, and unusual ones", () =>
    Effect.gen(function*() {
      const long = `${"deep/".repeat(30)}${"n".repeat(120)}.tf`
      const directory = yield* directoryWith({ ...main, [long]: "", "日本 語.tf": "", "-rf.tf": "" })
      const paths = yield* pathsOf(directory)
      expect(paths).toEqual(expect.arrayContaining([long, "日本 語.tf", "-rf.tf"]))
    }))

  it.effect("keeps links that stay inside as links", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({ ...main, "modules/a/main.tf": "" })
      symlinkSync("modules/a", join(directory, "a"))
      symlinkSync("../../main.tf", join(directory, "modules/a/up.tf"))
      symlinkSync("gone.tf", join(directory, "dangling.tf"))
      const entries = yield* unpacked((yield* archived(directory)).bytes)
      expect(entries.filter(({ type }) => type === "Symlink").map(({ linkTarget, path }) => [path, linkTarget])).toEqual([
        ["a", "modules/a"],
        ["dangling.tf", "gone.tf"],
        ["modules/a/up.tf", "../../main.tf"]
      ])
    }))

  it.effect("takes a directory that is itself reached by a link", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({ "real/main.tf": "" })
      symlinkSync("real", join(directory, "link"))
      expect(yield* pathsOf(join(directory, "link"))).toEqual(["main.tf"])
    }))
})

describe("what cannot be archived", () => {
  it.effect.each([
    { what: "leads up", target: "../../etc/passwd" },
    { what: "is absolute", target: "/etc/passwd" },
    { what: "leads up after going down", target: "modules/../../x" }
  ])("is a link that $what", ({ target }) =>
    Effect.gen(function*() {
      const directory = yield* directoryWith(main)
      symlinkSync(target, join(directory, "odd.tf"))
      expect(yield* refusal(directory)).toBe(
        `odd.tf is a link to ${target}, outside of the directory; put a copy in its place, or name it in .terraformignore.`
      )
    }))

  it.effect("is a link that leads out by way of another link", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({ ...main, "in/deep/x.tf": "" })
      const elsewhere = yield* directoryWith({ "secret.tf": "" })
      symlinkSync("../..", join(directory, "in/deep/up"))
      // Read as text, this path stays in in/deep. The link `up` in it leads one level above the directory.
      const target = `in/deep/up/../${basename(elsewhere)}/secret.tf`
      symlinkSync(target, join(directory, "odd.tf"))
      expect(yield* refusal(directory)).toBe(
        `odd.tf is a link to ${target}, outside of the directory; put a copy in its place, or name it in .terraformignore.`
      )
    }))

  it.effect.each([
    { what: "a file", make: (path: Buffer) => writeFileSync(path, "") },
    { what: "a directory", make: (path: Buffer) => mkdirSync(path) },
    { what: "a link", make: (path: Buffer) => symlinkSync("main.tf", path) }
  ])("is $what whose name is not UTF-8, unless .terraformignore leaves it out", ({ make }) =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({ ...main, "caf\ufffd": "" })
      make(Buffer.from(join(directory, "caf\u00e9"), "latin1"))
      expect(yield* refusal(directory)).toBe("The name of caf\ufffd is not UTF-8; rename it, or name it in .terraformignore.")
      writeFileSync(join(directory, ".terraformignore"), "caf?\n")
      expect(yield* pathsOf(directory)).toEqual([".terraformignore", "main.tf"])
    }))

  it.effect("is a link to a name that is not UTF-8", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith(main)
      symlinkSync(Buffer.from("caf\u00e9", "latin1"), join(directory, "link"))
      expect(yield* refusal(directory)).toBe(
        "The name that link leads to is not UTF-8; rename it, or name link in .terraformignore."
      )
    }))

  it.effect.each([
    { what: "a backslash", path: "a\\b.tf", why: "whose name has a backslash or control character" },
    { what: "a control character", path: "a\nb.tf", why: "whose name has a backslash or control character" },
    { what: "a sign that stands for what is no UTF-8", path: "a\ufffd.tf", why: "whose name is not UTF-8, or has U+FFFD in it" },
    { what: "a drive", path: "C:x.tf", why: "an absolute path" },
    { what: "33 parts", path: `${"d/".repeat(32)}x.tf`, why: "which is too deep" },
    { what: "more than 1,024 bytes", path: `${"d".repeat(200)}/`.repeat(5) + "é".repeat(20), why: "whose name is too long" }
  ])("is a file whose name no stage takes, for $what, unless .terraformignore leaves it out", ({ path, why }) =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({ ...main, [path]: "" })
      expect(yield* refusal(directory)).toBe(
        `No run can unpack DIR: it holds ${JSON.stringify(path)}, ${why}; change that, or name it in .terraformignore.`
      )
      writeFileSync(join(directory, ".terraformignore"), "/*\n!/main.tf\n")
      expect(yield* pathsOf(directory)).toEqual(["main.tf"])
    }))

  it.effect("is a link whose way goes up after it went down, which the worker does not follow", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({ ...main, "a/b": "" })
      symlinkSync("../a/../main.tf", join(directory, "a/l"))
      expect(yield* refusal(directory)).toBe(
        "No run can unpack DIR: it holds \"a/l\", a link that leads outside the archive; change that, or name it in .terraformignore."
      )
    }))

  it.effect("can be named in .terraformignore", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({ ...main, ".terraformignore": "odd.tf\n" })
      symlinkSync("/etc/passwd", join(directory, "odd.tf"))
      expect(yield* pathsOf(directory)).toEqual([".terraformignore", "main.tf"])
    }))

  it.effect.skipIf(!canBeNameless)(
    "is a directory that may not be read, which no rule behind it in .terraformignore may want again",
    () =>
      Effect.gen(function*() {
        const made = yield* Effect.forEach(
          ["!main.tf\nclosed/\n", "closed/\n!main.tf\n"],
          (rules) => directoryWith({ ...main, "closed/a.tf": "", ".terraformignore": rules })
        )
        const [last = "", before = ""] = made
        made.forEach((directory) => {
          chmodSync(directory, 0o755)
          chmodSync(join(directory, "closed"), 0o700)
        })
        yield* nameless
        expect(yield* pathsOf(last)).toEqual([".terraformignore", "main.tf"])
        expect(yield* refusal(before)).toBe(
          "Cannot read closed: permission denied; correct that, or name it at the end of .terraformignore."
        )
      })
  )

  it.effect.skipIf(!canBeNameless)("is the directory itself where it may not be read", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith(main)
      chmodSync(directory, 0o311)
      yield* nameless
      expect(yield* refusal(directory)).toBe("Cannot read DIR: permission denied; name a directory that you may read.")
    }))

  it.effect("is a socket", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith(main)
      yield* Effect.acquireRelease(
        Effect.promise(() =>
          new Promise<ReturnType<typeof createServer>>((resolve) => {
            const server = createServer().listen(join(directory, "s"), () => resolve(server))
          })
        ),
        (server) => Effect.promise(() => new Promise((resolve) => server.close(resolve)))
      )
      expect(yield* refusal(directory)).toBe("s is neither a file, a directory nor a link; name it in .terraformignore.")
    }))

  it.effect("is as many files and bytes as a stage unpacks, and not one more, which is told before any is read", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({ ...main, "a/b.tf": "" })
      const three = { entries: 3, bytes: 4 * 512 } // a block for each, and one for what main.tf holds
      expect(yield* archived(directory, "", three)).toMatchObject({ files: 2 })
      expect(yield* refusal(directory, "", { ...three, entries: 2 })).toContain("it holds more than 2 files")
      expect(yield* refusal(directory, "", { ...three, bytes: 4 * 512 - 1 })).toContain("No run can unpack DIR")
      truncateSync(join(directory, "a/b.tf"), 3 * 1024 ** 3) // more than Node reads at once
      expect(yield* refusal(directory)).toBe(
        "No run can unpack DIR: it holds more than 50000 files, directories and links, or more than 1024 MiB; name what a run does not need in .terraformignore, beginning with downloads and build outputs."
      )
    }))

  it.effect("is more than the server takes, and nothing is read after that", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({ ...main, unreadable: "" })
      writeFileSync(join(directory, "random"), randomBytes(102 * 1024 * 1024))
      truncateSync(join(directory, "unreadable"), 3 * 1024 ** 3) // more than Node reads at once
      expect(yield* refusal(directory, "", { ...archiveSize, bytes: Infinity })).toBe(
        "DIR is more than 100 MB even when compressed; name what a run does not need in .terraformignore, beginning with downloads and build outputs."
      )
    }))

  it.effect("is a directory without a configuration", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({ "README.md": "", "sub/main.tf": "" })
      expect(yield* refusal(directory)).toBe(
        "There is no configuration in DIR: no file there ends in .tf or .tofu; name the directory that has them."
      )
    }))

  it.effect("is a directory whose workspace works below it, where there is no configuration either", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({ "live/README.md": "", "live/eu/main.tf": "" })
      expect(yield* refusal(directory, "live/")).toBe(
        "There is no configuration in DIR, nor in live, where its workspace works: no file there ends in .tf or .tofu; name the directory that has them."
      )
    }))

  it.effect("is a directory that is not there, or a file", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith(main)
      expect(yield* refusal(join(directory, "nope"))).toBe("There is no directory DIR; name the one that has the configuration.")
      expect(yield* refusal(join(directory, "main.tf"))).toBe("DIR is not a directory; name the one that has the configuration.")
    }))

  it.effect("is a directory that has none for the engine that is asked for", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({ "main.tofu": "" })
      expect((yield* Effect.flip(archiveOf(directory, Effect.succeed(""), Option.some("terraform")))).message).toMatch(
        /: no file there ends in \.tf; name/u
      )
      yield* archiveOf(directory, Effect.succeed(""), Option.some("tofu"))
    }))

  it.effect.each(["main.tf.json", "main.tofu", "main.tofu.json"])("is none of those with %s alone", (name) =>
    Effect.gen(function*() {
      expect(yield* pathsOf(yield* directoryWith({ [name]: "" }))).toEqual([name])
    }))

  it.effect("is none whose configuration are links", () =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({ "src/main.tf": "" })
      symlinkSync("src/main.tf", join(directory, "main.tf"))
      expect(yield* pathsOf(directory)).toEqual(["main.tf", "src/", "src/main.tf"])
    }))
})

describe("the configuration of a workspace with a working directory", () => {
  it.effect.each(["live/eu", "./live/eu/"])("may be in %s alone", (below) =>
    Effect.gen(function*() {
      const directory = yield* directoryWith({ "live/eu/main.tf": "", "modules/card/main.tf": "" })
      expect((yield* archived(directory, below)).files).toBe(2)
    }))

  it.effect("is not asked for where the directory has one itself, or there is none below", () =>
    Effect.gen(function*() {
      expect((yield* archiveOf(yield* directoryWith(main), Effect.die("asked"))).files).toBe(1)
      yield* Effect.flip(archiveOf(yield* directoryWith({ "live/README.md": "" }), Effect.die("asked")))
    }))
})

describe("a link's target", () => {
  it.each([
    ["a/b.tf", "c.tf", true],
    ["a/b.tf", "../c.tf", true],
    ["a/b.tf", "../../c.tf", false],
    ["b.tf", "..", false],
    ["b.tf", "..c", true],
    ["b.tf", "/a", false],
    ["a/b", "..", true]
  ])("of %s, %s, stays inside: %s", (path, target, inside) => expect(staysInside(path, target)).toBe(inside))
})

describe("the name of a directory", () => {
  it.effect("is its last part, also of the one we are in", () =>
    Effect.gen(function*() {
      expect(nameOfDirectory("examples/quickstart/")).toBe("quickstart")
      expect(nameOfDirectory(".")).toBe(process.cwd().split("/").at(-1))
      yield* Effect.void
    }))
})
