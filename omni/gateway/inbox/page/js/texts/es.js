/** Español. */
export default {
};
