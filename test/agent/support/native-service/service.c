/* A service in C with a hole: it compares as many characters of the password as it is given, so that none at all is enough. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const char password[] = "correct horse";

static int knows(const char *given)
{
    return strncmp(given, password, strlen(given)) == 0;
}

__attribute__((noinline)) void answer(int client, const char *given)
{
    char text[80];
    int size = snprintf(text, sizeof text, "%d %s\n", getpid(), knows(given) ? "the secret" : "refused");
    if (write(client, text, size) < 0)
        perror("write");
}

static void execute(int server, int client)
{
    char text[16];
    snprintf(text, sizeof text, "%d", server);
    answer(client, "");
    close(client);
    execl("/proc/self/exe", "service", text, (char *)0);
}

static void serve(int server)
{
    for (;;) {
        char given[64] = "";
        int client = accept(server, 0, 0);
        if (client < 0)
            continue;
        ssize_t size = read(client, given, sizeof given - 1);
        if (size > 0) {
            given[strcspn(given, "\n")] = 0;
            /* A child that serves one client alone, as inetd's and sshd's do. */
            if (strcmp(given, "execute") == 0)
                execute(server, client);
            else if (strncmp(given, "fork ", 5) != 0)
                answer(client, given);
            else if (fork() == 0) {
                /* It ends with the test. */
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                answer(client, given + 5);
                close(client);
                pause();
                _exit(0);
            }
        }
        close(client);
    }
}

int main(int count, char **words)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int server = count > 1 ? atoi(words[1]) : socket(AF_INET, SOCK_STREAM, 0);
    if (count == 1 && (bind(server, (struct sockaddr *)&address, size) || listen(server, 64)))
        return 1;
    if (getsockname(server, (struct sockaddr *)&address, &size))
        return 1;
    printf("%s listens on %d\n", words[0], ntohs(address.sin_port));
    fflush(stdout);
    serve(server);
}
