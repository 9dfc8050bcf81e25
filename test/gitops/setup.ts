// A control plane for these tests alone: they replace the CRD, guard it, and run controllers as its administrator.
// Run by vitest before all of them. The control plane ends after them.
import { execFileSync } from "node:child_process"
import type { TestProject } from "vitest/node"

export default ({ config }: TestProject): () => void => {
  const env = { ...process.env, ...config.env }
  const cluster = (script: string, ...args: ReadonlyArray<string>): void =>
    void execFileSync(`test/cluster/${script}`, args, { env, stdio: ["ignore", "ignore", "inherit"] })
  cluster("down") // an interrupted run may have left a control plane
  cluster("up", "--control-plane")
  return () => cluster("down")
}
