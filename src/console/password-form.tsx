/** Sign-in by name and password. */
import { Button, Field, Input, MessageBar, MessageBarBody } from "@fluentui/react-components";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "./api-client.ts";

export function PasswordForm() {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const signIn = useMutation({
    mutationFn: () => ask("POST", "/v1/sign-in/password", { body: { name, password } }),
    onSuccess: () => location.assign("/"),
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        signIn.mutate();
      }}
    >
      {signIn.error !== null && (
        <MessageBar intent="error" layout="multiline">
          <MessageBarBody>{signIn.error.message}</MessageBarBody>
        </MessageBar>
      )}
      <Field label="Name">
        <Input autoComplete="username" value={name} onChange={(_event, { value }) => setName(value)} />
      </Field>
      <Field label="Password">
        <Input
          type="password"
          autoComplete="current-password"
          value={password}
          onChange={(_event, { value }) => setPassword(value)}
        />
      </Field>
      <p>
        <Button type="submit" appearance="primary" disabled={signIn.isPending || name === "" || password === ""}>
          Sign in
        </Button>
      </p>
    </form>
  );
}
