#version 330
#include output.glsl
in vec3 colour;
void main() {
    out_colour = vec4(colour, 1.0);
    out_part = part(1);
}
