#version 330
#include common.glsl
#include output.glsl
in vec3 position, normal, rest;
in vec2 uv, occlusion;
in vec3 reach;
uniform float open_lids;   // 0 when the eyes are closed: no wet line is left to see
in float neck;
void main() {
    // The wet line along the lower lid and the pink flesh of the inner corner.
    vec3 n = normalize(normal), v = normalize(eye_position - position);
    float inner = smoothstep(0.0215, 0.0175, abs(rest.x));
    vec3 gloss = vec3(0.0);
    for (int i = 0; i < 2; i++) gloss += light_colour[i] * ggx(n, v, light_direction[i], 0.24, 0.03);
    vec3 flesh = vec3(0.42, 0.16, 0.13) * (ambient(n) + light_colour[0] * 0.35) * 0.75;
    float cover = mix(0.12, 0.85, inner) * open_lids;
    out_colour = vec4(tone(flesh + gloss * 0.5) * cover, cover);
    out_part = part(1);
}
