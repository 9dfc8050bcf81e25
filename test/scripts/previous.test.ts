// Which commit the upgrade test begins with, and what it says where the history does not have that.
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { checkout } from "./checkout.ts"

/** Returns a checkout with three commits, of which only the second changed src. */
const repository = () => {
  const made = checkout("scripts/previous", "scripts/place.bash", "test/cluster/env.bash")
  const git = (...args: ReadonlyArray<string>) =>
    execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main", ...args], {
      cwd: made.folder,
      encoding: "utf8",
      stdio: "pipe"
    }).trim()
  const commit = (path: string, text: string) => {
    made.write(path, text)
    git("add", "--force", path)
    git("commit", "--quiet", "--message", path)
    return git("rev-parse", "HEAD")
  }
  git("init", "--quiet")
  made.write("scripts/packages", "#!/bin/sh\nprintf 'packages of %s, ' \"${0%/scripts/packages}\"\n")
  made.write("scripts/image", "#!/bin/sh\n[ -d \"$1/src\" ] && echo image of the same\n")
  git("add", "scripts", "test")
  const commits = [commit("src/main.ts", "1"), commit("src/main.ts", "2"), commit("docs/a.md", "3")]
  return { ...made, commits }
}

describe("the earlier commit", () => {
  it("is the one before the last that changed src, and another if one is chosen", () => {
    const { commits, run } = repository()
    expect(run("scripts/previous --which")).toEqual({ status: 0, said: `${commits[0]}\n` })
    expect(run("scripts/previous --which", { PREVIOUS: "HEAD" })).toEqual({ status: 0, said: `${commits[2]}\n` })
  })

  it("is made of its own files alone, and anew once it is another", () => {
    const { commits, folder, run } = repository()
    const made = (path: string) => readFileSync(join(folder, ".cache/previous", path), "utf8")
    expect(run("scripts/previous")).toEqual({ status: 0, said: `packages of ${join(folder, ".cache/previous")}, image of the same\n` })
    expect([made("src/main.ts"), made(".commit")]).toEqual(["1", `${commits[0]}\n`])
    run("scripts/previous", { PREVIOUS: commits[1] ?? "" })
    expect([made("src/main.ts"), made(".commit")]).toEqual(["2", `${commits[1]}\n`])
    expect(existsSync(join(folder, ".cache/previous/docs"))).toBe(false)
  })

  it.each([
    {
      where: "an archive of the files",
      how: "rm -r .git",
      says: "no history is here, as in an archive of the files; clone the repository"
    },
    {
      where: "a shallow clone",
      how: "git rev-parse HEAD~1 >.git/shallow",
      says: "the history that is here does not have the commit before the last that changed src; fetch more of it: git fetch --deepen=200"
    }
  ])("is not known in $where, which is told", ({ how, says }) => {
    const { run } = repository()
    run(how)
    expect(run("scripts/previous --which")).toEqual({ status: 3, said: `error: ${says}\n` })
  })
})
