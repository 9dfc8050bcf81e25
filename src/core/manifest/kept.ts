// Annotations that keep Flux and Argo CD from deleting an object that leaves Git or whose parent is deleted: a person deletes it by hand.
// Used by core/manifest/crd and core/manifest/volume-claim.
export const kept: Readonly<Record<string, string>> = {
  "kustomize.toolkit.fluxcd.io/prune": "disabled",
  "argocd.argoproj.io/sync-options": "Prune=false,Delete=false"
}
