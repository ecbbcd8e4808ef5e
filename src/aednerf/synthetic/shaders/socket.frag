#version 330
#include common.glsl
#include output.glsl
in vec3 position, normal, rest;
in vec2 uv, occlusion;
in vec3 reach;
in float neck;
void main() {
    // Wet flesh: the inside of the cheeks and behind the lids.
    vec3 n = normalize(normal), v = normalize(eye_position - position);
    vec3 albedo = vec3(0.30, 0.085, 0.075);
    vec3 light = ambient(n) + light_colour[0] * max(dot(n, light_direction[0]) * 0.6 + 0.4, 0.0) * 0.4;
    out_colour = vec4(tone(albedo * light * occlusion.y), 1.0);
    out_part = part(1);
}
