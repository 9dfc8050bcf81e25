// How the packages are installed, by an npm of the test.
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { checkout } from "./checkout.ts"

it.each([
  { version: "9.2.0", given: "that is too old, after a newer one", folders: [".cache/npm", "."] },
  { version: "11.0.0", given: "that is new enough", folders: ["."] }
])("installs only what is locked, and runs no script of it, with an npm $given", ({ folders, version }) => {
  const { folder, program, run } = checkout("scripts", "test/cluster/env.bash", "package.json", "package-lock.json")
  program("node", "echo v24.0.0")
  program(
    "npm",
    `case $1 in --version) echo ${version} ;; *)
      echo "$*" >>calls
      for argument; do [[ \${last:-} != --prefix ]] || cd "$argument"; last=$argument; done
      mkdir -p node_modules/.bin
      cp package-lock.json node_modules/.installed ;;
    esac`
  )
  const { said, status } = run("scripts/packages --no-cluster")
  expect(status, said).toBe(0)
  const calls = readFileSync(join(folder, "calls"), "utf8").trim().split("\n")
  expect(calls.map((call) => /^ci .*--ignore-scripts/u.test(call))).toEqual(folders.map(() => true))
  const locks = folders.map((path) => readFileSync(join(folder, path, "node_modules/.installed"), "utf8"))
  expect(locks).toEqual(folders.map((path) => readFileSync(path === "." ? "package-lock.json" : "scripts/npm/package-lock.json", "utf8")))
})
