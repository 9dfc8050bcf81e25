// When `make bundle` bundles anew, with a bundler of the test.
import { expect, it } from "vitest"
import { checkout } from "./checkout.ts"

it("bundles once, and anew after a change of anything that gets into the bundle or beside it", () => {
  const { program, run, write } = checkout("scripts", "test/cluster/env.bash", "src/runner/exec-loop.sh")
  const parts = ["src/main.ts", "package.json", "package-lock.json", "LICENSE", "scripts/parts.ts"]
  for (const part of parts) write(part, "before")
  program("rolldown", "for name in main.cjs packages.json LICENSES.txt; do mkdir -p dist && echo >dist/$name; done")
  const says = () => run("scripts/bundle", { HAVE_PACKAGES: "yes" }).said
  expect(says()).toContain("bundled dist/main.cjs")
  expect(says()).toBe("have dist/main.cjs\n")
  for (const part of parts) {
    write(part, "after")
    expect([part, says()]).toEqual([part, expect.stringContaining("bundled dist/main.cjs")])
  }
})
