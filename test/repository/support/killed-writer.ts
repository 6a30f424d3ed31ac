/** Loaded before a command: ends its process by SIGKILL at the step that the environment names. */
import { dieAtStep } from "./dying-disk.ts";

dieAtStep(Number(process.env.TEST_DIE_AT_STEP), () => process.kill(process.pid, "SIGKILL"));
