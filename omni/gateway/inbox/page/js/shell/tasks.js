export function startTasks() {}
