// What scripts/test keeps of one kind of tests: a reporter that vitest runs, which writes its Report to the file that TEST_REPORT names.
// Invariant: a run that did not pass has a failure here, also where no test failed: a promise that nobody waited for was rejected, say.
import { writeFileSync } from "node:fs"
import { relative } from "node:path"
import type { Reporter, SerializedError, TestModule, TestRunEndReason } from "vitest/node"
import type { Report } from "./tally.ts"

const firstLine = ({ message, name }: SerializedError): string => `${name ?? "Error"}: ${message}`.split("\n", 1)[0] ?? ""

const failuresOf = (module: TestModule): ReadonlyArray<string> => {
  const tests = Array.from(
    module.children.allTests("failed"),
    (test) => ({ at: [module.relativeModuleId, test.fullName], of: test.result().errors })
  )
  const groups = Array.from(module.children.allSuites(), (group) => ({ at: [module.relativeModuleId, group.fullName], of: group.errors() }))
  return [...tests, ...groups, { at: [module.relativeModuleId], of: module.errors() }].flatMap(({ at, of }) =>
    of?.[0] === undefined ? [] : [`${at.join(" > ")}: ${firstLine(of[0])}`]
  )
}

const besideTests = (error: SerializedError): string => {
  const { VITEST_TEST_NAME: test, VITEST_TEST_PATH: file } = error
  const during = typeof file === "string" ? relative(process.cwd(), file) : "vitest"
  return `${during}, beside its tests${typeof test === "string" ? ` (while it ran "${test}")` : ""}: ${firstLine(error)}`
}

export default class implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>, unhandled: ReadonlyArray<SerializedError>, reason: TestRunEndReason): void {
    const known = [...modules.flatMap(failuresOf), ...unhandled.map(besideTests)]
    const report: Report = {
      passed: modules.reduce((sum, module) => sum + Array.from(module.children.allTests("passed")).length, 0),
      failures: known.length > 0 || reason === "passed" ? known : [`vitest: ${reason}`]
    }
    writeFileSync(process.env.TEST_REPORT ?? "/dev/null", JSON.stringify(report))
  }
}
