// What neither Flux nor Argo CD deletes when it leaves Git or their own object goes: somebody who means it deletes it by hand.
// Used by core/manifest/crd and core/manifest/volume-claim.
export const kept: Readonly<Record<string, string>> = {
  "kustomize.toolkit.fluxcd.io/prune": "disabled",
  "argocd.argoproj.io/sync-options": "Prune=false,Delete=false"
}
