/**
 * For Ajv and a schema of our own, used once: that it is one is tested, and optimizing the code for it took longer than
 * running it.
 */
export const once = { meta: false, validateSchema: false, code: { optimize: false } } as const
