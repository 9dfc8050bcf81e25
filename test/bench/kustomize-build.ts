// How long it takes to build an overlay, which Flux and Argo CD do at every change and every few minutes.
// Used by main.ts.
import { execFileSync } from "node:child_process"
import type { Figure } from "./figure.ts"

const milliseconds = (folder: string): number => {
  const began = performance.now()
  execFileSync("kustomize", ["build", folder], { stdio: ["ignore", "ignore", "inherit"], maxBuffer: 2 ** 24 })
  return performance.now() - began
}

export const kustomizeBuild = (say: (what: string) => void): ReadonlyArray<Figure> => {
  const folder = "kustomize/overlays/production"
  say(`kustomize build ${folder}, 20 times`)
  return [{ what: `kustomize build ${folder}`, unit: "ms", budget: 1000, values: Array.from({ length: 20 }, () => milliseconds(folder)) }]
}
