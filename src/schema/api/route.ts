// The address of a route with one parameter, from the same text by which the server knows the route.
// Used by the other files of this folder.

/** Returns how the path of such a route is made of the value of its parameter. */
export const pathOf = (route: string) => (value: string): string => route.replace(/:\w+/u, () => encodeURIComponent(value))
