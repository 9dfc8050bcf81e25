// What the scripts make of the environment of whoever calls them.
import { execFileSync } from "node:child_process"
import { expect, it } from "vitest"
import { checkout } from "./checkout.ts"

/** Returns what bash prints, with all scripts' head read before. */
const printed = (before: string, after: string) =>
  execFileSync("bash", ["-c", `${before}; source scripts/place.bash; ${after}`], { encoding: "utf8" })

it("finds the checkout although CDPATH makes cd print", () =>
  expect(printed("export CDPATH=.:/", `printf '%s %s' "$here" "$root"`)).toBe(`${process.cwd()}/test/cluster ${process.cwd()}`))

it("makes files that other users may read, as the user of an image is one", () => expect(printed("umask 077", "umask")).toBe("0022\n"))

it.each([
  { name: "kube-apiserver", given: 0 },
  { name: "containerd, which pulls images", given: 3 }
])("starts $name with its due of the proxies", ({ given, name }) => {
  const { run } = checkout("test/cluster/env.bash")
  const [program = ""] = name.split(",")
  const { said } = run(
    `source test/cluster/env.bash; start ${program} env; wait $!; cat $logs/${program}.log`,
    { HTTPS_PROXY: "http://proxy", http_proxy: "http://proxy", ALL_PROXY: "http://proxy" }
  )
  expect(said.split("\n").filter((line) => line.endsWith("=http://proxy")).length, said).toBe(given)
})
