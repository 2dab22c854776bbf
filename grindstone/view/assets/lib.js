// The vendored library's names, for the other modules.

const { preact, preactHooks, htm } = globalThis;

export const html = htm.bind(preact.h);
export const render = preact.render;
export const Component = preact.Component;
export const Fragment = preact.Fragment;
export const useEffect = preactHooks.useEffect;
export const useMemo = preactHooks.useMemo;
export const useRef = preactHooks.useRef;
export const useState = preactHooks.useState;
