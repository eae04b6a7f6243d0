export function startCommands() {}
