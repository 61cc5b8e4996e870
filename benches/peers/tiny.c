/* The smallest program that a server can start: answers "ok", and with an argument waits for the end of
 * what the client sends. No C library, so that starting it costs next to nothing:
 *     gcc -O2 -static -nostdlib -o tiny tiny.c */

static long call(long number, long a, long b, long c)
{
    long result;
#if defined(__x86_64__)
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    result = x0;
#else
#error "two numbers and an instruction are missing for this processor"
#endif
    return result;
}

#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, EXIT = 60 };
__asm__(".globl _start\n_start: mov (%rsp), %rdi\nand $-16, %rsp\ncall begin\n");
#else
enum { READ = 63, WRITE = 64, EXIT = 93 };
__asm__(".globl _start\n_start: ldr x0, [sp]\nbl begin\n");
#endif

void begin(long arguments)
{
    char byte[64];
    call(WRITE, 1, (long)"ok\n", 3);
    if (arguments > 1)
        while (call(READ, 0, (long)byte, sizeof byte) > 0)
            ;
    call(EXIT, 0, 0, 0);
    for (;;)
        ;
}
