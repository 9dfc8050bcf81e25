// What the scripts make of the environment of whoever calls them.
import { execFileSync } from "node:child_process"
import { expect, it } from "vitest"

/** Returns what bash prints, with all scripts' head read before. */
const printed = (before: string, after: string) =>
  execFileSync("bash", ["-c", `${before}; source scripts/place.bash; ${after}`], { encoding: "utf8" })

it("finds the checkout although CDPATH makes cd print", () =>
  expect(printed("export CDPATH=.:/", `printf '%s %s' "$here" "$root"`)).toBe(`${process.cwd()}/test/cluster ${process.cwd()}`))

it("makes files that other users may read, as the user of an image is one", () => expect(printed("umask 077", "umask")).toBe("0022\n"))
